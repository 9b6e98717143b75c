"""The folders in which flowtell keeps what can be made again (choices, plans), and what shows that it did.

Both belong to the user alone. The cache folder may be thrown away, carried off or restored by anybody's tool;
the state folder holds what says that something in the cache was made here.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from ._errors import ProviderError

__all__ = ["is_private", "private_cache_folder", "private_state_folder", "private_subfolder"]


def private_cache_folder() -> Path:
    """Return the user's cache folder for flowtell, made where it is missing, for this user alone.

    It is `$XDG_CACHE_HOME/flowtell`, `~/.cache/flowtell` where that variable is not set, and
    `%LOCALAPPDATA%/flowtell` on Windows.

    Raises:
        ProviderError: where it cannot be made, nobody knows where, or others can write to it.
    """
    if sys.platform == "win32":
        base = _base("LOCALAPPDATA", "AppData", "Local")
    else:
        base = _base("XDG_CACHE_HOME", ".cache")
    return _private_folder(base / "flowtell", "cache")


def private_state_folder() -> Path:
    """Return the user's state folder for flowtell: `$XDG_STATE_HOME/flowtell` or `~/.local/state/flowtell`.

    Raises:
        ProviderError: as `private_cache_folder`.
    """
    return _private_folder(_base("XDG_STATE_HOME", ".local", "state") / "flowtell", "state")


def private_subfolder(folder: Path, *names: str) -> Path:
    """Return a folder below one of these, each level made where it is missing, for this user alone.

    Raises:
        ProviderError: where one cannot be made, is a link, or others can write to it.
    """
    for name in names:
        folder = _private_folder(folder / name, "cache")
        if folder.is_symlink():
            raise ProviderError(f"the cache folder '{folder}' is a link: put a folder in its place")
    return folder


def _base(variable: str, *below_home: str) -> Path:
    if stated := os.environ.get(variable):
        return Path(stated)
    try:
        return Path.home().joinpath(*below_home)
    except RuntimeError as error:
        raise ProviderError(f"this user has no home folder: set {variable} to one that is theirs") from error


def _private_folder(folder: Path, word: str) -> Path:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        raise ProviderError(f"the {word} folder '{folder}' cannot be made: {error.strerror}") from error
    if not is_private(status):
        raise ProviderError(f"the {word} folder '{folder}' can be written to by others: make it yours alone")
    return folder


def is_private(status: os.stat_result) -> bool:
    """Tell whether a file or folder is this user's, and nobody else may write to it."""
    if sys.platform == "win32":
        return True
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
