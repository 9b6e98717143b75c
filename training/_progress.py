"""A progress bar over items with the time left, on a terminal; nothing at all elsewhere."""

import time

from flowtell._cli_progress import TerminalLine, bar_text

__all__ = ["ItemBar", "item_line"]


class ItemBar:
    """Draws how many of `total` items are done. Use as a context manager; leaving it wipes the line."""

    def __init__(self, stream, name, total):
        self._line, self._name, self._total = TerminalLine(stream), name, total
        self._begun_s = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._line.wipe()

    def __call__(self, done, note=""):
        """Draw that `done` items are done, ten times a second at most."""
        elapsed_s = time.monotonic() - self._begun_s
        self._line.draw(lambda: item_line(self._name, done, self._total, elapsed_s, note))


def item_line(name, done, total, elapsed_s, note=""):
    """Return the bar as text: share done, count, and the time left once something is done."""
    left = f"  {elapsed_s / done * (total - done):.0f} s left" if 0 < done < total else ""
    bar = bar_text(done / total if total else 1.0)
    return f"{name}  [{bar}] {done}/{total}{left}{'  ' + note if note else ''}"
