"""Says what an export is doing, how long each stage took, and how much memory the process has needed."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

try:
    import resource
except ModuleNotFoundError:  # Windows
    resource = None

__all__ = ["StageLog"]


class StageLog:
    """Prints one line for each stage when it ends: seconds, the process's peak memory so far, its name."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Print to ``stream``; None prints to standard error."""
        self._stream = stream or sys.stderr

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the body; where it raises, nothing is printed."""
        begun_s = time.monotonic()
        yield
        print(f"{time.monotonic() - begun_s:8.1f} s  {_peak_memory()}  {name}", file=self._stream, flush=True)


def _peak_memory() -> str:
    if resource is None:
        return "peak memory unknown"
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6:6.0f} MB"
