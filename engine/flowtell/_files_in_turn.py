"""Judges files in turn: the next one is read while the last clips of the one before are judged."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from ._errors import InputError
from ._result import Result
from ._run_control import RunControl

__all__ = ["JudgeFile", "results_in_turn", "row_of"]

JudgeFile = Callable[[int, str | os.PathLike[str], RunControl], Result]
"""From the number of a file in its row, its path and what may end its run, to its result."""

_FILES_AT_ONCE = 2
"""While the last clips of a file are judged the next one is read; more would only hold more in memory."""


def row_of(paths: Iterable[str | os.PathLike[str]]) -> Iterator[str | os.PathLike[str]]:
    """Return what draws from a row of paths.

    Raises:
        InputError: where it is one path, or no row.
    """
    if isinstance(paths, str | bytes | os.PathLike):
        raise InputError(f"paths must be a row of paths, not the one path {paths!r}")
    try:
        return iter(paths)
    except TypeError:
        raise InputError(f"paths must be a row of paths, not {paths!r}") from None


def results_in_turn(
    row: Iterator[str | os.PathLike[str]],
    judge: JudgeFile,
    require_caller: Callable[[], None],
    *,
    timeout_s: float | None,
    overlapping: bool,
) -> Generator[Result, None, None]:
    """Yield the result of each file, in their order.

    Args:
        row: of paths, drawn from as they are needed.
        judge: judges one of them, in a thread of its own.
        require_caller: raises where the thread that asks for a result must not wait for one.
        timeout_s: of each file, from when it is begun; None for none.
        overlapping: whether the next file is begun before the one in hand is done. Where a clock runs for
            each file it must not count what another file keeps it waiting for.

    Raises:
        Exception: what `judge` raises, instead of that file's result, and what `require_caller` does.
    """
    at_once = _FILES_AT_ONCE if overlapping else 1
    left = enumerate(row)
    runs: deque[tuple[RunControl, Future[Result]]] = deque()
    readers = ThreadPoolExecutor(at_once, thread_name_prefix="flowtell-file")
    caller = threading.current_thread()
    try:
        while True:
            caller = threading.current_thread()
            require_caller()
            while len(runs) < at_once and (following := next(left, None)) is not None:
                control = RunControl(timeout_s, is_behind=bool(runs))
                runs.append((control, readers.submit(judge, *following, control)))
            if not runs:
                return
            first, future = runs[0]
            first.is_behind = False
            yield future.result()
            runs.popleft()
    finally:
        for control, future in runs:
            future.cancel()
            control.cancel()
        # what nobody closed the collector does, in any thread: maybe in one that the file itself waits for
        readers.shutdown(wait=threading.current_thread() is caller)
