"""What the benchmarks' commands take as an argument."""

import argparse
import math
import os
from pathlib import Path

__all__ = ["new_file", "positive", "seed"]


def new_file(text):
    """Return the path of a file to write, for argparse: what cannot be written should fail before the work.

    Raises:
        argparse.ArgumentTypeError: its folder is not there or cannot be written to, or it is a folder itself.
    """
    path = Path(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder '{path.parent}' to write '{path.name}' into")
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"'{path}' is a folder: name a file in it")
    if not os.access(path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"the folder '{path.parent}' cannot be written to")
    return path


def seed(text):
    """Return a seed of NumPy's generators, for argparse: a whole number from 0."""
    value = int(text)
    if value < 0:
        raise ValueError
    return value


def positive(kind):
    """Return a parser, for argparse, of finite numbers above 0.

    Args:
        kind: `int` or `float`.
    """

    def parse(text):
        value = kind(text)
        if not 0 < value < math.inf:
            raise ValueError
        return value

    parse.__name__ = "number above 0"
    return parse
