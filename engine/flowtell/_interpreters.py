"""Which Python runs the decoder: this one or, in a host that is no Python, the one that belongs to it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["DECODER_VARIABLE", "IN_PROCESS", "candidates", "is_isolated"]

DECODER_VARIABLE = "FLOWTELL_DECODER"
"""Environment variable: a Python to run the decoder with, or `in-process`."""

IN_PROCESS = "in-process"

_PYTHON = re.compile(r"python(\d+(\.\d+)?)?", re.ASCII)


def is_isolated() -> bool:
    """Return whether videos are decoded in a process of their own."""
    return sys.platform == "linux" and os.environ.get(DECODER_VARIABLE) != IN_PROCESS


def candidates() -> Iterator[str]:
    """Yield interpreters that could run the decoder, the likeliest first.

    In a program that embeds Python `sys.executable` is that program, or empty, or whichever python3 comes
    first in PATH; a program that is no Python must not be run again by surprise. So only files that are
    called like a Python are tried, and whether one is of use turns out when the decoder reports itself.
    """
    stated = os.environ.get(DECODER_VARIABLE)
    if stated:
        yield stated
        return
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    paths = [
        Path(sys.executable or os.devnull),
        *(Path(prefix, "bin", version) for prefix in (sys.prefix, sys.exec_prefix, sys.base_prefix)),
    ]
    for path in dict.fromkeys(paths):
        if _PYTHON.fullmatch(path.name) and os.access(path, os.X_OK) and not getattr(sys, "frozen", False):
            yield str(path)
