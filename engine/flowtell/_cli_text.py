"""What the command shows of names and words that come from files, and where nobody sees it."""

from __future__ import annotations

import os
from typing import TextIO

__all__ = ["drop_output", "printable"]


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
