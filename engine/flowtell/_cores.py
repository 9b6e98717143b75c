"""Shares the cores: however many threads there are, no more of them compute at a time than were asked for.

A thread holds a core while it computes and lends it while it waits for another thread, so that reading and
judging together keep to the number of threads that `Detector.open` was given, and none of them lies idle.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ._errors import InputError
from ._run_control import RunControl

__all__ = ["Core", "Cores"]


class Cores:
    """A number of cores, held by one thread each."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._waiting_urgently: set[Core] = set()
        self._holders: dict[Core, int] = {}
        self._is_ended = False
        self._changed = threading.Condition()

    @contextmanager
    def held(self, *, urgent: bool, control: RunControl | None = None) -> Iterator[Core]:
        """Hold a core for the block; what is urgent gets the next one.

        Reading is urgent: it is short, and judging waits for it. It lends its core where its queues are full
        and while it waits for a frame.

        Raises:
            TimeUpError, CancelledError: where the run of `control` ends while it waits for a core, here or
                where a core that was lent is taken back.
        """
        core = Core(self, urgent, control)
        if control is not None:
            control.on_cancel(self._wake)
        try:
            core.take()
            yield core
        finally:
            core.give()

    def require_none_held(self) -> None:
        """Return where the calling thread holds no core: it would wait for one that it keeps itself.

        Raises:
            InputError: where it holds one, which a caller can only find in `progress`.
        """
        with self._changed:
            holds_one = threading.get_ident() in self._holders.values()
        if holds_one:
            raise InputError("a progress callback cannot use the detector that calls it")

    def end(self) -> None:
        """Let everybody who waits for a core go on without one: what they would compute is not wanted."""
        with self._changed:
            self._is_ended = True
            self._changed.notify_all()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _take(self, core: Core, urgent: bool, control: RunControl | None) -> None:
        def is_over() -> bool:
            return self._is_ended or (control is not None and control.is_cancelled)

        with self._changed:
            try:
                if urgent:
                    self._waiting_urgently.add(core)
                patience_s = None if control is None else control.remaining_s()
                self._changed.wait_for(lambda: is_over() or self._has_core(urgent), patience_s)
                if control is not None:
                    control.check()
                self._holders[core] = threading.get_ident()
            finally:
                self._waiting_urgently.discard(core)
                self._changed.notify_all()

    def _has_core(self, urgent: bool) -> bool:
        return len(self._holders) < self._count and (urgent or not self._waiting_urgently)

    def _give(self, core: Core) -> None:
        with self._changed:
            self._holders.pop(core, None)
            # also where it was given before: an interrupt may have come before anybody was told
            self._changed.notify_all()


class Core:
    """One thread's hold on a core."""

    def __init__(self, cores: Cores, urgent: bool, control: RunControl | None) -> None:
        self._cores = cores
        self._urgent = urgent
        self._control = control

    def take(self) -> None:
        """Wait for a core; raises as `Cores.held`."""
        self._cores._take(self, self._urgent, self._control)

    def give(self) -> None:
        """Give it back, if it is held. That is noted in one place, so that no interrupt loses a core."""
        self._cores._give(self)

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Lend the core to others for the block; an error leaves without waiting to have it back."""
        self.give()
        yield
        self.take()
