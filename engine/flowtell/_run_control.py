"""What ends a run before its time: a limit on its time, or a caller who no longer wants it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError

from ._arguments import is_finite
from ._errors import InputError

__all__ = ["Interrupt", "RunControl", "TimeUpError", "require_timeout"]


_LONGEST_S = 1e9
"""Longer waits than this, 30 years, are more than systems can count."""


class TimeUpError(Exception):
    """The run has used up its time; it never leaves the package."""


class Interrupt:
    """Ends what one thread waits for, from another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._end: Callable[[], object] | None = None
        self._is_fired = False

    def watch(self, end: Callable[[], object] | None) -> None:
        """Have `fire` call `end()`, at once where it was fired before; None for nothing."""
        with self._lock:
            self._end = end
            if end is not None and self._is_fired:
                end()

    def fire(self) -> None:
        """End what is being waited for, and what will be."""
        with self._lock:
            self._is_fired = True
            if self._end is not None:
                self._end()


class RunControl:
    """Says whether one run may go on.

    Attributes:
        is_behind: whether another run of the same caller comes first; its clips are judged where those of no
            other run wait.
    """

    def __init__(self, timeout_s: float | None = None, *, is_behind: bool = False) -> None:
        self.is_behind = is_behind
        self._ends_s = None if timeout_s is None else time.monotonic() + timeout_s
        self._is_cancelled = False
        self._wake: list[Callable[[], object]] = []
        self._lock = threading.Lock()

    @property
    def is_cancelled(self) -> bool:
        """Whether nobody wants the run any more."""
        return self._is_cancelled

    def check(self) -> None:
        """Return where the run may go on.

        Raises:
            CancelledError: where it was cancelled.
            TimeUpError: where its time is up.
        """
        if self._is_cancelled:
            raise CancelledError
        remaining_s = self.remaining_s()
        if remaining_s is not None and remaining_s <= 0:
            raise TimeUpError

    def remaining_s(self) -> float | None:
        """Return the time that is left, in seconds, at least 0; None where there is no limit."""
        return None if self._ends_s is None else max(self._ends_s - time.monotonic(), 0.0)

    def cancel(self) -> None:
        """End the run: what waits in it wakes up."""
        with self._lock:
            self._is_cancelled = True
            wake, self._wake = self._wake, []
        for call in wake:
            call()

    def on_cancel(self, call: Callable[[], object]) -> None:
        """Have `call()` made when the run is cancelled; at once where it already was."""
        with self._lock:
            if not self._is_cancelled:
                self._wake.append(call)
                return
        call()


def require_timeout(timeout_s: float | None) -> float | None:
    """Return `timeout_s` if it is None or a finite number of seconds above 0.

    Raises:
        InputError: where it is not.
    """
    if timeout_s is None:
        return None
    if (
        isinstance(timeout_s, bool)
        or not isinstance(timeout_s, int | float)
        or not (is_finite(timeout_s) and timeout_s > 0)
    ):
        raise InputError(f"timeout_s must be a number of seconds above 0, not {timeout_s!r}")
    return min(float(timeout_s), _LONGEST_S)
