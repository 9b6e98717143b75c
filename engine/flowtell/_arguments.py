"""Checks of what callers pass that several modules share."""

from __future__ import annotations

import math
import os
from typing import Any, SupportsFloat

from ._errors import InputError

__all__ = ["is_finite", "is_path", "require_path"]


def is_finite(number: SupportsFloat) -> bool:
    """Return whether a number is finite as a float; a whole number may be too large for one."""
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


def is_path(value: Any) -> bool:
    """Return whether a value is a str or stands for one, as not every `DirEntry` does: some are of bytes."""
    try:
        return isinstance(os.fspath(value), str)
    except TypeError:
        return False


def require_path(value: Any) -> None:
    """Return where a value names a video.

    Raises:
        InputError: where it does not.
    """
    if not is_path(value):
        raise InputError(f"a video is named by a str or a path, not by {value!r}")
