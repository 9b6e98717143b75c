"""Gives memory that is free back to the system, which an allocator keeps for later."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from ._shared_arena import shared_arena

__all__ = ["HeapTrimmer", "keep_little_free", "process_heap"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""As mallopt(3) numbers them."""

_SETTINGS = {"GLIBC_TUNABLES", "MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"}


class HeapTrimmer:
    """Empties the C library's allocator now and then. For any number of threads.

    Pixels of a file are allocated by several threads and freed by others, between things that stay: glibc
    keeps most of that, some 200 MB after a few files of 1080p.
    """

    def __init__(self, pause_s: float, release: Callable[[], None] | None = None) -> None:
        """Do so at most every `pause_s` seconds while anything runs: whoever allocates next pays for it.

        `release` is called before, when no run goes on: what it frees goes back, too.
        """
        self._pause_s = pause_s
        self._release = release
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

    def begin_anew(self) -> None:
        """Forget the parent's runs and who is at it, in a fork."""
        self._lock = threading.Lock()
        self._running.clear()
        self._is_asked = False

    def _give_back(self) -> None:
        # whoever comes second need not wait, nor a fork of a process that was at it: who is at it looks again
        self._is_asked = True
        while self._is_asked and self._lock.acquire(blocking=False):
            try:
                self._is_asked = False
                is_at_rest = not self._running
                if is_at_rest and self._release is not None:
                    self._release()
                if self._trim is not None and (is_at_rest or time.monotonic() >= self._due_s):
                    self._trim(0)
                    self._due_s = time.monotonic() + self._pause_s
            finally:
                self._lock.release()


def keep_little_free() -> None:
    """Have glibc give back what is freed at the end of a heap, for a process that is all flowtell's.

    Left to itself it raises two thresholds with every large block that is freed, from which on blocks are
    mapped and ends of heaps go back; small things that stay then lie among what is gone. And it makes heaps
    for threads, up to eight a core, of whose ends malloc_trim(3) gives nothing back. Where the environment
    sets any of the three, or any of glibc's tunables, all is left as it is. Call it before threads start.
    """
    set_option = _function_of_library("mallopt")
    if set_option is None or _SETTINGS & os.environ.keys():
        return
    # 1 MB: less than a frame. 32 MB: as high as it goes, as mapping each frame anew would cost more
    if set_option(_M_MMAP_THRESHOLD, 1 << 25):
        set_option(_M_TRIM_THRESHOLD, 1 << 20)
    # the main one alone; large tensors are ONNX Runtime's own, so that few wait for it
    set_option(_M_ARENA_MAX, 1)


def _trim_of_library() -> Callable[[int], int] | None:
    """Return glibc's malloc_trim(3); None where the C library has none."""
    trim: Callable[[int], int] | None = _function_of_library("malloc_trim")
    return trim


def _function_of_library(name: str) -> Any:
    """Return a function of glibc's allocator; None where the C library has none."""
    if sys.platform != "linux":
        return None
    try:
        return getattr(ctypes.CDLL(None), name, None)
    except OSError:
        # an interpreter that is linked statically
        return None


process_heap = HeapTrimmer(1, shared_arena.empty)
"""What is taken anew after a file costs some 0.1 s of a core, a tenth of it at most."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=process_heap.begin_anew)
