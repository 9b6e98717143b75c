"""The folder in which flowtell keeps what can be made again: choices and plans."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ._errors import ProviderError

__all__ = ["private_cache_folder"]


def private_cache_folder() -> Path:
    """Return the user's cache folder for flowtell, made where it is missing, for this user alone.

    It is `$XDG_CACHE_HOME/flowtell`, `~/.cache/flowtell` where that variable is not set, and
    `%LOCALAPPDATA%/flowtell` on Windows.

    Raises:
        ProviderError: where it cannot be made, or others can write to it.
    """
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "flowtell"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        raise ProviderError(f"the cache folder '{folder}' cannot be made: {error.strerror}") from error
    if sys.platform != "win32" and (status.st_uid != os.getuid() or status.st_mode & 0o022):
        raise ProviderError(f"the cache folder '{folder}' can be written to by others: make it yours alone")
    return folder
