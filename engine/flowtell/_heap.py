"""Gives memory that is free back to the system, which an allocator keeps for later."""

from __future__ import annotations

import contextlib
import ctypes
import sys
import threading
import time
from collections.abc import Callable, Iterator

__all__ = ["HeapTrimmer", "process_heap"]


class HeapTrimmer:
    """Empties the C library's allocator now and then. For any number of threads.

    Pixels of a file are allocated by several threads and freed by others, between things that stay: glibc
    keeps most of that, some 200 MB after a few files of 1080p.
    """

    def __init__(self, pause_s: float) -> None:
        """Do so at most every `pause_s` seconds while anything runs: whoever allocates next pays for it."""
        self._pause_s = pause_s
        self._trim = _trim_of_library()
        self._lock = threading.Lock()
        self._due_s = 0.0
        self._is_asked = False
        self._running: set[object] = set()

    @contextlib.contextmanager
    def run(self) -> Iterator[None]:
        """Give back what a run left free when it ends; while others go on, only where a pause is over."""
        token = object()
        # changes of a set are atomic: no lock that a fork could inherit in another thread's hands
        self._running.add(token)
        try:
            yield
        finally:
            self._running.discard(token)
            self._give_back()

    def _give_back(self) -> None:
        # whoever comes second need not wait, nor a fork of a process that was at it: who is at it looks again
        self._is_asked = True
        while self._is_asked and self._trim is not None and self._lock.acquire(blocking=False):
            try:
                self._is_asked = False
                if not self._running or time.monotonic() >= self._due_s:
                    self._trim(0)
                    self._due_s = time.monotonic() + self._pause_s
            finally:
                self._lock.release()


def _trim_of_library() -> Callable[[int], int] | None:
    """Return glibc's malloc_trim(3); None where the C library has none."""
    if sys.platform != "linux":
        return None
    try:
        trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    except OSError:
        # an interpreter that is linked statically
        return None
    return trim


process_heap = HeapTrimmer(pause_s=1)
"""What is taken anew after a file costs some 0.1 s of a core, a tenth of it at most."""
