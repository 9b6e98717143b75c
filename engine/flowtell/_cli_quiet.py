"""Keeps TensorFlow's notices from users of the commands that need it."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

__all__ = ["hush_tensorflow", "import_quietly"]

_LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def import_quietly(name: str) -> ModuleType:
    """Import a module that imports TensorFlow, now or later; see `hush_tensorflow`."""
    hush_tensorflow()
    return importlib.import_module(name)


def hush_tensorflow() -> None:
    """Hold TensorFlow's notices back, also while it is imported, but for users who set its log level to 0."""
    if os.environ.setdefault(_LOG_LEVEL, "3") != "0" and _QUIET not in sys.meta_path:
        sys.meta_path.insert(0, _QUIET)


class _QuietTensorFlow(MetaPathFinder):
    """Finds TensorFlow for the import system, with a loader that is quiet."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where TensorFlow is; None for all else, which others find."""
        if fullname != "tensorflow":
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _QuietLoader(spec.loader)
        return spec


_QUIET = _QuietTensorFlow()


class _QuietLoader(Loader):
    """Another loader, with what is written to file descriptor 2 held back while it runs a module."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Do what the other does."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module quietly."""
        with _stderr_held_back():
            self._loader.exec_module(module)


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
