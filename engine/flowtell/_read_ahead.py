"""Runs a stage of the pipeline in a thread of its own, some bytes ahead of whoever uses it, and no more."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import nullcontext
from typing import Generic, TypeVar

from ._cores import Core, Cores
from ._run_control import Interrupt, RunControl

__all__ = ["ReadAhead"]

T = TypeVar("T")

_PATIENCE_S = 1.0
"""What is still waited for so long after nobody wants it is interrupted: a frame of 8K takes less."""


class ReadAhead(Generic[T]):
    """Draws from a generator in a thread and hands its items over in order, and then its error.

    At most `capacity_bytes` of items wait, and one at least. Use as a context manager: leaving it ends the
    thread after the item that it is at, which is interrupted if it does not come within a second, and the
    generator is closed in the thread that ran it.
    """

    def __init__(
        self,
        source: Generator[T, None, None],
        bytes_of: Callable[[T], int],
        capacity_bytes: int,
        cores: Cores | None,
        control: RunControl,
        interrupt: Interrupt | None = None,
    ) -> None:
        """Draw from `source`, holding one of `cores` meanwhile; None where drawing is only waiting.

        `interrupt` ends such waiting; None where nothing can.
        """
        self._source = source
        self._bytes_of = bytes_of
        self._capacity_bytes = capacity_bytes
        self._cores = cores
        self._control = control
        self._interrupt = interrupt
        self._changed = threading.Condition()
        self._items: deque[T] = deque()
        self._held_bytes = 0
        self._is_closed = False
        self._is_done = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="flowtell-read", daemon=True)

    def __enter__(self) -> ReadAhead[T]:
        """Start reading."""
        self._control.on_cancel(self._close)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop reading and wait until the thread has ended."""
        self._close()
        if self._interrupt is not None:
            self._thread.join(_PATIENCE_S)
            if self._thread.is_alive():
                self._interrupt.fire()
        self._thread.join()

    def get(self, core: Core) -> T | None:
        """Return the next item, lending `core` while there is none; None after the last one.

        Raises:
            TimeUpError, CancelledError: where the run has no more time or was cancelled.
            BaseException: what the generator raised, after its last item.
        """
        while True:
            self._control.check()
            with self._changed:
                if self._items:
                    item = self._items.popleft()
                    self._held_bytes -= self._bytes_of(item)
                    self._changed.notify_all()
                    return item
                if self._is_done:
                    break
            # a wait that ends a moment before the run's time must not look like the last item: asked again
            with core.lent(), self._changed:
                self._changed.wait_for(
                    lambda: self._items or self._is_done or self._is_closed, self._control.remaining_s()
                )
        if self._error is not None:
            raise self._error
        return None

    def _run(self) -> None:
        try:
            own = self._cores.held(urgent=True, control=self._control) if self._cores else nullcontext()
            with own as core:
                for item in self._source:
                    if not self._put(item, core):
                        break
        except BaseException as error:
            self._error = error
        finally:
            self._source.close()
            with self._changed:
                self._is_done = True
                self._changed.notify_all()

    def _put(self, item: T, core: Core | None) -> bool:
        """Hand an item over, lending `core` while there is no room; return False where nobody wants it."""
        size = self._bytes_of(item)
        with self._changed:
            has_room = self._is_closed or self._has_room(size)
        if not has_room:
            with core.lent() if core else nullcontext(), self._changed:
                self._changed.wait_for(lambda: self._is_closed or self._has_room(size))
        with self._changed:
            if self._is_closed:
                return False
            # only this thread adds, so the room is still there
            self._items.append(item)
            self._held_bytes += size
            self._changed.notify_all()
        return True

    def _has_room(self, size: int) -> bool:
        return not self._items or self._held_bytes + size <= self._capacity_bytes

    def _close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._items.clear()
            self._held_bytes = 0
            self._changed.notify_all()
