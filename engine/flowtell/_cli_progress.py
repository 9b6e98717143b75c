"""A progress bar with the time left, on a terminal; nothing at all elsewhere."""

from __future__ import annotations

import errno
import os
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from ._cli_text import drop_output, printable
from ._pipeline import Progress

__all__ = ["ProgressBar", "TerminalLine", "bar_text"]

_REDRAW_S = 0.1
_BAR_WIDTH = 24
_COLUMNS = 80
"""Of a terminal that does not say how wide it is."""


class TerminalLine:
    """The last line of a terminal, drawn again and again, ten times a second at most; nothing elsewhere.

    A terminal that goes away ends the drawing and nothing else.
    """

    def __init__(self, stream: TextIO | None) -> None:
        """Draw on `stream`; None, what Python has for one that was closed, is nowhere."""
        self._stream = stream if stream is not None and stream.isatty() else None
        self._drawn_s = 0.0

    def draw(self, text: Callable[[], str]) -> None:
        """Show what `text()` returns, cut to the terminal's width, where it is time to."""
        now_s = time.monotonic()
        if self._stream is None or now_s - self._drawn_s < _REDRAW_S:
            return
        self._drawn_s = now_s
        self._write(_cut_to_columns(text(), _columns_of(self._stream) - 1))

    def wipe(self) -> None:
        """Remove what was drawn, if anything was."""
        if self._drawn_s:
            self._write("")

    def _write(self, text: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(f"\r\x1b[2K{text}")
            self._stream.flush()
        except OSError as error:
            if error.errno == errno.EIO:
                drop_output(self._stream)
            self._stream = None


class ProgressBar:
    """Draws how far the first unfinished of `files` has been read and judged on `stream`, if a terminal.

    Use as a context manager, and call it with a file's index and each `Progress`; leaving it wipes the line.
    It may be called from any thread.
    """

    def __init__(self, stream: TextIO | None, files: Sequence[str]) -> None:
        self._line = TerminalLine(stream)
        self._names = [printable(Path(file).name) for file in files]
        self._first = 0
        self._begun_s: dict[int, float] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> ProgressBar:
        """Return the bar."""
        return self

    def __exit__(self, *_: object) -> None:
        """Wipe the line."""
        with self._lock:
            self._line.wipe()

    @contextmanager
    def next_file(self) -> Iterator[None]:
        """Wipe the line and keep it so within; from then on show the file after the one shown so far."""
        with self._lock:
            self._line.wipe()
            self._first += 1
            yield

    def __call__(self, index: int, progress: Progress) -> None:
        """Draw, ten times a second at most, and not while another thread has the line."""
        # several files are read at a time, each from when it is first heard of
        begun_s = self._begun_s.setdefault(index, time.monotonic())
        if index != self._first or not self._lock.acquire(blocking=False):
            return
        try:
            if index == self._first:
                count = len(self._names)
                name = self._names[index] if count == 1 else f"{index + 1}/{count} {self._names[index]}"
                self._line.draw(lambda: progress_line(name, progress, time.monotonic() - begun_s))
        finally:
            self._lock.release()


def progress_line(name: str, progress: Progress, elapsed_s: float) -> str:
    """Return the bar as text: share of the stated duration, clips judged, time left where it is known."""
    counts = f"{progress.judged}/{progress.clips} clips judged"
    if not progress.duration_s or progress.time_s > progress.duration_s:
        return f"{name}  {progress.time_s:.0f} s read  {counts}"
    share = max(progress.time_s, 0.0) / progress.duration_s
    left = f"  {elapsed_s / share - elapsed_s:.0f} s left" if 0 < share < 1 else ""
    return f"{name}  [{bar_text(share)}] {100 * share:3.0f} %  {counts}{left}"


def _columns_of(terminal: TextIO) -> int:
    try:
        # not shutil's, which asks standard output; 0 where nobody told the terminal
        return os.get_terminal_size(terminal.fileno()).columns or _COLUMNS
    except (OSError, ValueError):
        return _COLUMNS


def _cut_to_columns(text: str, columns: int) -> str:
    """Return as much of the beginning of `text` as a terminal shows in so many columns."""
    for place, character in enumerate(text):
        # Unicode Standard Annex 11: wide characters take two columns; marks are drawn over what they follow
        width = 2 if unicodedata.east_asian_width(character) in "WF" else 1
        columns -= 0 if unicodedata.combining(character) else width
        if columns < 0:
            return text[:place]
    return text


def bar_text(share: float) -> str:
    """Return the inside of a bar of which a share, 0 to 1, is done."""
    filled = round(share * _BAR_WIDTH)
    return "#" * filled + "-" * (_BAR_WIDTH - filled)
