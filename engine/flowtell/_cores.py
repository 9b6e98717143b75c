"""Shares the cores: however many threads there are, no more of them compute at a time than were asked for.

A thread holds a core while it computes and lends it while it waits for another thread, so that reading and
judging together keep to the number of threads that `Detector.open` was given, and none of them lies idle.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ._errors import InputError

__all__ = ["Core", "Cores"]


class Cores:
    """A number of cores, held by one thread each."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._urgent = 0
        self._holders: set[int] = set()
        self._changed = threading.Condition()

    @contextmanager
    def held(self, *, urgent: bool) -> Iterator[Core]:
        """Hold a core for the block; what is urgent gets the next one.

        Reading is urgent: it is short, and judging waits for it. It cannot starve judging, because its queues
        are bounded and it lends its core where they are full.
        """
        core = Core(self, urgent)
        core.take()
        try:
            yield core
        finally:
            core.give()

    def require_none_held(self) -> None:
        """Return where the calling thread holds no core: it would wait for one that it keeps itself.

        Raises:
            InputError: where it holds one, which a caller can only find in `progress`.
        """
        if threading.get_ident() in self._holders:
            raise InputError("a progress callback cannot use the detector that calls it")

    def _take(self, urgent: bool) -> None:
        with self._changed:
            self._urgent += urgent
            try:
                self._changed.wait_for(lambda: self._free > 0 and (urgent or not self._urgent))
                self._free -= 1
                self._holders.add(threading.get_ident())
            finally:
                self._urgent -= urgent
                self._changed.notify_all()

    def _give(self) -> None:
        with self._changed:
            self._free += 1
            self._holders.discard(threading.get_ident())
            self._changed.notify_all()


class Core:
    """One thread's hold on a core."""

    def __init__(self, cores: Cores, urgent: bool) -> None:
        self._cores = cores
        self._urgent = urgent
        self._is_held = False

    def take(self) -> None:
        """Wait for a core."""
        self._cores._take(self._urgent)
        self._is_held = True

    def give(self) -> None:
        """Give it back, if it is held."""
        if self._is_held:
            self._is_held = False
            self._cores._give()

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Lend the core to others for the block; an error leaves without waiting to have it back."""
        self.give()
        yield
        self.take()
