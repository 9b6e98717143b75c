"""The memory in which ONNX Runtime's CPU sessions of this process compute, which can be given back."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

__all__ = ["SharedArena", "shared_arena"]

_IDENTITY = (
    b"\x08\x08"  # ir_version 8
    b":7"  # graph: 55 bytes
    b'\n\x10\n\x01x\x12\x01y"\x08Identity'  # node: x -> y
    b"\x12\x01g"  # name
    b"Z\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01"  # input x: float32 [1]
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01"  # output y: the same
    b"B\x04\n\x00\x10\x11"  # opset 17
)
"""An ONNX model, as Protocol Buffers write it: what is run to have the arena emptied after it."""


class SharedArena:
    """One arena for all CPU sessions of flowtell. For any number of threads.

    Left to itself each session has an arena of its own and keeps what its largest call needed: 400 MB on
    two threads with the default bundle. ONNX Runtime empties an arena only at the end of a run that computed
    in it: where all share one, that can be a run of next to nothing.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._run_emptying: Callable[[], object] | None = None
        self._is_made = False
        self._of_parent: object = None

    def share(self, ort: ModuleType, settings: Any) -> None:
        """Have sessions of these `onnxruntime.SessionOptions` compute in it, where this platform has arenas.

        ONNX Runtime knows one such arena a process. Where a host made one too, the version decides whether
        the later takes the earlier's place or is refused; sessions then have arenas of their own, as without.
        """
        with self._lock:
            if not self._is_made:
                self._run_emptying = _make(ort)
                self._is_made = True
            if self._run_emptying is not None:
                _compute_in_it(settings)

    def empty(self) -> None:
        """Give back what no session uses now, in some 20 ms, if that can be; the next run takes it anew."""
        if self._run_emptying is not None:
            # a result that is there is not lost for it
            with contextlib.suppress(Exception):
                self._run_emptying()

    def begin_anew(self) -> None:
        """Leave to the parent what a fork has of it: another thread may have held it in its hands."""
        self._lock = threading.Lock()
        # not let go: that would free within the arena that may be locked
        self._of_parent = self._of_parent, self._run_emptying
        self._run_emptying, self._is_made = None, False


def _make(ort: ModuleType) -> Callable[[], object] | None:
    """Make it; return what empties it, None where it cannot be made."""
    settings = ort.SessionOptions()
    # by itself a session starts a thread for each further core
    settings.intra_op_num_threads = 1
    settings.inter_op_num_threads = 1
    _compute_in_it(settings)
    options = ort.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    try:
        ort.create_and_register_allocator(
            ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT),
            # no bound of its own, and ONNX Runtime's defaults
            ort.OrtArenaCfg(0, -1, -1, -1),
        )
        session = ort.InferenceSession(_IDENTITY, settings, providers=["CPUExecutionProvider"])
        empty = partial(session.run, ["y"], {"x": np.zeros(1, np.float32)}, options)
        empty()
    except Exception:
        # ONNX Runtime's exceptions share no base class; builds for small devices have no arenas
        return None
    return empty


def _compute_in_it(settings: Any) -> None:
    settings.add_session_config_entry("session.use_env_allocators", "1")


shared_arena = SharedArena()
"""That of this process."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=shared_arena.begin_anew)
