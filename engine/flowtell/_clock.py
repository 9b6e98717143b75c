"""Adds up the wall time of each stage of one run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["StageClock"]


class StageClock:
    """Wall time by stage; stages may be entered from one thread at a time each."""

    def __init__(self) -> None:
        self._spent_s: dict[str, float] = {}
        self._begun_s = time.perf_counter()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time until the block is left towards `name`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - start)

    def add(self, name: str, seconds: float) -> None:
        """Count `seconds` towards `name`."""
        self._spent_s[name] = self._spent_s.get(name, 0.0) + seconds

    def spent_ms(self, name: str) -> float:
        """Return what was counted towards `name` so far, in ms."""
        return 1e3 * self._spent_s.get(name, 0.0)

    def total_ms(self) -> float:
        """Return the wall time since the clock was made, in ms."""
        return 1e3 * (time.perf_counter() - self._begun_s)
