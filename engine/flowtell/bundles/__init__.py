"""Data files of the package: bundles."""
