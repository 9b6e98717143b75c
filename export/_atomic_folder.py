"""A folder that appears whole or not at all, whatever stops the process that writes it."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ModuleNotFoundError:  # Windows: leftovers of a killed process are then left alone
    fcntl = None

__all__ = ["replaced_folder"]

_SUFFIX = ".partial"
# linux/fs.h and fcntl.h: exchange two names in one step; paths relative to the working folder.
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """Give a new empty folder to fill, which takes the name ``folder`` when the body ends without an error.

    The new folder stands beside the wanted one, under a name that begins with a dot and ends in ``.partial``.
    Its files are brought to the disk before it takes its place. Where the wanted folder exists, the two
    change names in one step (Linux's renameat2; elsewhere the old one steps aside first, for the moment
    between two renames). A killed process leaves at most a ``.partial`` folder, which the next one sweeps up;
    that of a process still at work is locked, and stays.

    Args:
        folder: absolute; its parent exists. What it holds is deleted once it has been replaced.

    Raises:
        OSError: nothing can be written there; the old folder is as it was.
    """
    _sweep(folder)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", suffix=_SUFFIX, dir=folder.parent))
    lock = _lock(scratch)
    try:
        yield scratch
        scratch.chmod(0o755)  # mkdtemp makes folders that only their owner can open
        for path in [*scratch.iterdir(), scratch]:
            _to_disk(path)
        _take_place(scratch, folder)
        _to_disk(folder.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _take_place(scratch: Path, folder: Path) -> None:
    """Give the finished folder its name; what bore it is then called ``scratch``, if there was anything."""
    if not folder.exists():
        scratch.rename(folder)
    elif not _exchange(scratch, folder):
        aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", suffix=_SUFFIX, dir=folder.parent))
        aside.rmdir()
        folder.rename(aside)
        try:
            scratch.rename(folder)
        except OSError:
            aside.rename(folder)
            raise
        shutil.rmtree(aside, ignore_errors=True)


def _exchange(first: Path, second: Path) -> bool:
    """Let two paths change names in one step; return False where system or file system cannot.

    Raises:
        OSError: it can, but failed.
    """
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):  # TypeError: Windows wants the name of a library
        return False
    names = (os.fsencode(first), os.fsencode(second))
    if rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(number, os.strerror(number), str(second))


def _sweep(folder: Path) -> None:
    """Delete what killed processes left beside ``folder``: partial folders that nobody holds locked."""
    for left in folder.parent.glob(f".{folder.name}-*{_SUFFIX}"):
        lock = _lock(left)
        if lock is not None:
            shutil.rmtree(left, ignore_errors=True)
            os.close(lock)


def _lock(folder: Path) -> int | None:
    """Lock a folder for this process; return the open descriptor, or None where another holds it."""
    if fcntl is None:
        return None
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
        else:
            return descriptor
    return None


def _to_disk(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk."""
    if path.is_dir() and not hasattr(os, "O_DIRECTORY"):
        return  # Windows has no descriptor of a folder
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
