"""A progress bar with the time left, on a terminal; nothing at all elsewhere."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from ._pipeline import Progress

__all__ = ["ProgressBar"]

_REDRAW_S = 0.1
_BAR_WIDTH = 24


class ProgressBar:
    """Draws how far the first unfinished of `files` has been read and judged on `stream`, if a terminal.

    Use as a context manager, and call it with a file's index and each `Progress`; leaving it wipes the line.
    It may be called from any thread.
    """

    def __init__(self, stream: TextIO, files: Sequence[str]) -> None:
        self._stream = stream
        self._names = [Path(file).name for file in files]
        self._first = 0
        self._begun_s = time.monotonic()
        self._drawn_s = 0.0
        self._on_terminal = stream.isatty()
        self._lock = threading.Lock()

    def __enter__(self) -> ProgressBar:
        """Return the bar."""
        return self

    def __exit__(self, *_: object) -> None:
        """Wipe the line."""
        with self._lock:
            self._wipe()

    def next_file(self) -> None:
        """Wipe the line; from now on show the file after the one shown so far."""
        with self._lock:
            self._wipe()
            self._first += 1
            self._begun_s = time.monotonic()

    def __call__(self, index: int, progress: Progress) -> None:
        """Draw, ten times a second at most."""
        with self._lock:
            now_s = time.monotonic()
            if not self._on_terminal or index != self._first or now_s - self._drawn_s < _REDRAW_S:
                return
            self._drawn_s = now_s
            count = len(self._names)
            name = self._names[index] if count == 1 else f"{index + 1}/{count} {self._names[index]}"
            line = progress_line(name, progress, now_s - self._begun_s)
            self._stream.write("\r\x1b[2K" + line[: shutil.get_terminal_size().columns - 1])
            self._stream.flush()

    def _wipe(self) -> None:
        if self._drawn_s:
            self._stream.write("\r\x1b[2K")
            self._stream.flush()


def progress_line(name: str, progress: Progress, elapsed_s: float) -> str:
    """Return the bar as text: share of the stated duration, clips judged, time left where it is known."""
    counts = f"{progress.judged}/{progress.clips} clips judged"
    if not progress.duration_s or progress.time_s > progress.duration_s:
        return f"{name}  {progress.time_s:.0f} s read  {counts}"
    share = max(progress.time_s, 0.0) / progress.duration_s
    filled = round(share * _BAR_WIDTH)
    bar = "#" * filled + "-" * (_BAR_WIDTH - filled)
    left = f"  {elapsed_s / share - elapsed_s:.0f} s left" if 0 < share < 1 else ""
    return f"{name}  [{bar}] {100 * share:3.0f} %  {counts}{left}"
