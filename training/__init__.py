"""Keras 3 training: data, models, fit and evaluation."""
