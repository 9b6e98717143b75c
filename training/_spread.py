"""Some of many, evenly spread."""

import numpy as np

__all__ = ["evenly_spread"]


def evenly_spread(length, count):
    """Return `count` indices at most below `length`, evenly spread from the first to the last; int `[n]`."""
    return np.unique(np.linspace(0, length - 1, min(count, length)).round().astype(int))
