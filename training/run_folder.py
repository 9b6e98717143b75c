"""What keeps a run's folder honest: files appear whole, and a folder belongs to one set of settings."""

import hashlib
import json
import os
from contextlib import contextmanager
from pathlib import Path

from flowtell import InputError

__all__ = ["SETTINGS_NAME", "claim", "file_sha256", "sweep", "whole_file", "write_json"]

SETTINGS_NAME = "settings.json"
_SCRATCH = "writing-"


@contextmanager
def whole_file(path):
    """Yield a path beside `path` to write to; it takes the name of `path` when the block ends well.

    What was written is on the disk before it takes the name, so that even after a loss of power a file of
    that name is whole. The scratch name keeps the ending, which some writers go by, and names the process.

    Raises:
        OSError: it cannot be written, for instance because the disk is full; `path` stays as it was.
    """
    path = Path(path)
    scratch = path.with_name(f"{_SCRATCH}{os.getpid()}-{path.name}")
    try:
        yield scratch
        _flush(scratch)
        scratch.replace(path)
        if os.name == "posix":  # elsewhere a folder cannot be opened, and a rename is durable by itself
            _flush(path.parent)
    finally:
        scratch.unlink(missing_ok=True)


def _flush(path):
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path, value):
    """Write JSON that depends on nothing but the value; appears whole or not at all."""
    with whole_file(path) as scratch:
        scratch.write_text(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")


def sweep(folder):
    """Remove what killed processes left half-written in a folder; running ones are let be."""
    for path in Path(folder).glob(f"{_SCRATCH}*"):
        writer = path.name.removeprefix(_SCRATCH).split("-")[0]
        if not (writer.isdecimal() and _is_running(int(writer))):
            path.unlink(missing_ok=True)


def _is_running(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def claim(folder, settings, output=None):
    """Make a folder for the output of these settings, or accept it if it was made for the same.

    Args:
        folder: where the output goes; `settings.json` in it says what it was made with.
        settings: anything that JSON can hold.
        output: pattern of names that only such settings write: a folder that holds some and does not say what
            it was made with is refused; None: it is accepted.

    Raises:
        InputError: if the folder was made with other or unknown settings, or cannot be made or written to.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder '{folder}' cannot be made: {error.strerror}") from error
    path = folder / SETTINGS_NAME
    text = json.dumps(settings, indent=2) + "\n"
    try:
        if not path.exists():
            if output is not None and any(folder.glob(output)):
                raise InputError(
                    f"nobody knows what '{folder}' was made with: remove it, or name another folder"
                )
            with whole_file(path) as scratch:
                scratch.write_text(text)
        held = path.read_text(errors="replace")
    except OSError as error:
        raise InputError(f"'{path}' cannot be read and written: {error.strerror or error}") from error
    if held != text:
        names = _differing(held, settings)
        raise InputError(
            f"'{folder}' holds a run with other settings{names}; name another folder to start a new one"
        )


def _differing(held, settings):
    """Return the names of the settings that differ from those of a text of JSON, in brackets, if any."""
    try:
        known, wanted = json.loads(held), json.loads(json.dumps(settings))
        names = sorted(k for k in known.keys() | wanted.keys() if known.get(k) != wanted.get(k))
    except (ValueError, AttributeError):
        return ""
    return f" ({', '.join(names)})" if names else ""


def file_sha256(path):
    """Return the SHA-256 of a file, in hex."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
