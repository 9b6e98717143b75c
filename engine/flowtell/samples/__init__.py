"""Data files of the package: samples."""
