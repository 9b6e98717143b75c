"""Data files of the package: schemas."""
