"""What keeps a run's folder honest: files appear whole, and a folder belongs to one set of settings."""

import hashlib
import json
from contextlib import contextmanager
from pathlib import Path

__all__ = ["claim", "file_sha256", "whole_file"]


@contextmanager
def whole_file(path):
    """Yield a path beside `path` to write to; it takes the name of `path` when the block ends well.

    The scratch name keeps the ending, which some writers go by.
    """
    path = Path(path)
    scratch = path.with_name("writing-" + path.name)
    try:
        yield scratch
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def claim(folder, settings):
    """Make a folder for the output of these settings, or accept it if it was made for the same.

    Args:
        folder: where the output goes; `settings.json` in it says what it was made with.
        settings: anything that JSON can hold.

    Raises:
        ValueError: if the folder was made with other settings.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "settings.json"
    text = json.dumps(settings, indent=2) + "\n"
    if not path.exists():
        with whole_file(path) as scratch:
            scratch.write_text(text)
    elif path.read_text() != text:
        raise ValueError(f"{folder} holds a run with other settings; name another folder to start a new one")


def file_sha256(path):
    """Return the SHA-256 of a file, in hex."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
