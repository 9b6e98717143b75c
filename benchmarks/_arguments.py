"""What the benchmarks' commands take as an argument."""

import math

__all__ = ["positive"]


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
