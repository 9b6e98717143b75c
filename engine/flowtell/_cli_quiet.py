"""Imports a command that needs TensorFlow without the notices that it writes while it is imported."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

__all__ = ["import_quietly"]

_LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def import_quietly(name: str) -> ModuleType:
    """Import a module; TensorFlow's notices are held back, but for users who have set its log level."""
    if _LOG_LEVEL in os.environ:
        return importlib.import_module(name)
    os.environ[_LOG_LEVEL] = "3"
    with _stderr_held_back():
        return importlib.import_module(name)


@contextmanager
def _stderr_held_back() -> Iterator[None]:
    """Drop what is written to file descriptor 2, or give it out where the body fails.

    While it is imported, TensorFlow writes there past Python, before it reads its own log level.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
