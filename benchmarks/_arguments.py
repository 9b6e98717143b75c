"""What the benchmarks' commands take as an argument."""

import argparse
import math
from pathlib import Path

__all__ = ["new_file", "positive"]


def new_file(text):
    """Return the path of a file to write, for argparse: what cannot be written should fail before the work.

    Raises:
        argparse.ArgumentTypeError: its folder is not there.
    """
    path = Path(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder '{path.parent}' to write '{path.name}' into")
    return path


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
