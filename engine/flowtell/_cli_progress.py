"""A progress bar with the time left, on a terminal; nothing at all elsewhere."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TextIO

from ._pipeline import Progress

__all__ = ["ProgressBar"]

_REDRAW_S = 0.1
_BAR_WIDTH = 24


class ProgressBar:
    """Draws how far one file has been read and judged on `stream`, if that is a terminal.

    Use as a context manager, and call it with each `Progress`; leaving it wipes the line.
    """

    def __init__(self, stream: TextIO, file: str) -> None:
        self._stream = stream
        self._name = Path(file).name
        self._begun_s = time.monotonic()
        self._drawn_s = 0.0
        self._on_terminal = stream.isatty()

    def __enter__(self) -> ProgressBar:
        """Return the bar."""
        return self

    def __exit__(self, *_: object) -> None:
        """Wipe the line."""
        if self._drawn_s:
            self._stream.write("\r\x1b[2K")
            self._stream.flush()

    def __call__(self, progress: Progress) -> None:
        """Draw, ten times a second at most."""
        now_s = time.monotonic()
        if not self._on_terminal or now_s - self._drawn_s < _REDRAW_S:
            return
        self._drawn_s = now_s
        line = progress_line(self._name, progress, now_s - self._begun_s)
        self._stream.write("\r\x1b[2K" + line[: shutil.get_terminal_size().columns - 1])
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
