"""The version of the distribution, in one place that needs no installed metadata to be read."""

__version__ = "0.1.0"
