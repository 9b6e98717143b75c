"""A progress bar over items with the time left, on a terminal; nothing at all elsewhere."""

import shutil
import time

__all__ = ["ItemBar", "item_line"]

_REDRAW_S = 0.1
_BAR_WIDTH = 24


class ItemBar:
    """Draws how many of `total` items are done. Use as a context manager; leaving it wipes the line."""

    def __init__(self, stream, name, total):
        self._stream, self._name, self._total = stream, name, total
        self._begun_s = time.monotonic()
        self._drawn_s = 0.0
        self._on_terminal = stream.isatty()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._drawn_s:
            self._stream.write("\r\x1b[2K")
            self._stream.flush()

    def __call__(self, done, note=""):
        """Draw that `done` items are done, ten times a second at most."""
        now_s = time.monotonic()
        if not self._on_terminal or now_s - self._drawn_s < _REDRAW_S:
            return
        self._drawn_s = now_s
        line = item_line(self._name, done, self._total, now_s - self._begun_s, note)
        self._stream.write("\r\x1b[2K" + line[: shutil.get_terminal_size().columns - 1])
        self._stream.flush()


def item_line(name, done, total, elapsed_s, note=""):
    """Return the bar as text: share done, count, and the time left once something is done."""
    filled = round(done / total * _BAR_WIDTH) if total else _BAR_WIDTH
    bar = "#" * filled + "-" * (_BAR_WIDTH - filled)
    left = f"  {elapsed_s / done * (total - done):.0f} s left" if 0 < done < total else ""
    return f"{name}  [{bar}] {done}/{total}{left}{'  ' + note if note else ''}"
