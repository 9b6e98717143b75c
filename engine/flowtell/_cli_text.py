"""Words of the command: numbers that it is given, and names and words of files that it shows."""

from __future__ import annotations

import argparse
import os
from typing import TextIO

__all__ = ["count_from_one", "drop_output", "printable"]


def count_from_one(text: str) -> int:
    """Return the number that an argument is, for argparse.

    Raises:
        argparse.ArgumentTypeError: where it is no whole number of at least 1.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not '{text}'")
    return int(text)


def drop_output(stream: TextIO) -> None:
    """Send what a stream is given, and what it still holds, nowhere: whoever took it is gone.

    Otherwise the interpreter complains when it flushes the stream at its end.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def printable(text: str) -> str:
    """Return `text` with what would move a terminal's cursor, or is no character at all, as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
