"""The TensorRT that is installed: NVIDIA's `tensorrt` or the `tensorrt_rtx` of the package index.

Both are imported when they are first needed. Neither may be asked to open a plan where there is no GPU: they
can end the process there, so `flowtell._nvidia` is asked first.
"""

from __future__ import annotations

import ctypes
import importlib
from dataclasses import dataclass
from types import ModuleType

from ._errors import ProviderError
from ._installed import is_installed

__all__ = ["BACKENDS", "Backend", "backend_called", "installed_backends"]


@dataclass(frozen=True)
class Backend:
    """A TensorRT.

    Attributes:
        name: `tensorrt` or `tensorrt_rtx`.
        title: as NVIDIA calls it.
        module: what Python imports.
        is_for_one_gpu: whether a plan is for one kind of GPU, and built on it; else for a compute capability,
            and built anywhere.
    """

    name: str
    title: str
    module: str
    is_for_one_gpu: bool

    def is_installed(self) -> bool:
        """Tell whether it may be imported; it is not, for that."""
        return is_installed(self.module)

    def load(self) -> ModuleType:
        """Import it.

        Raises:
            ProviderError: where it cannot be.
        """
        try:
            return importlib.import_module(self.module)
        except ImportError as error:
            raise ProviderError(f"{self.title} cannot be loaded ({error}): reinstall it") from error

    def version(self) -> str:
        """Return its version, all four numbers; raises `ProviderError` where it cannot be loaded."""
        said = str(self.load().__version__)
        # some releases say three numbers in Python, and all four to a C++ program
        return said if said.count(".") > 2 else _version_of_library(said)


def _version_of_library(said: str) -> str:
    """Return the version that the loaded `libnvinfer` gives; `said` where there is none to ask."""
    try:
        library = ctypes.CDLL(f"libnvinfer.so.{said.split('.')[0]}")
        parts = ("Major", "Minor", "Patch", "Build")
        return ".".join(str(library[f"getInferLib{part}Version"]()) for part in parts)
    except (OSError, AttributeError):
        return said


BACKENDS = (
    Backend("tensorrt", "TensorRT", "tensorrt", True),
    Backend("tensorrt_rtx", "TensorRT-RTX", "tensorrt_rtx_bindings", False),
)

_HOW = (
    "pip install 'flowtell[tensorrt]' brings TensorRT-RTX, and NVIDIA's own TensorRT 10 or 11 is taken where "
    "Python finds its module tensorrt"
)


def installed_backends() -> list[Backend]:
    """Return those that are installed, the one that is preferred first."""
    return [backend for backend in BACKENDS if backend.is_installed()]


def backend_called(name: str | None) -> Backend:
    """Return the backend called `name`, or for None the first that is installed.

    Raises:
        ProviderError: where it is not installed.
    """
    found = [backend for backend in installed_backends() if name in (None, backend.name)]
    if not found:
        raise ProviderError(f"no {name or 'TensorRT'} is installed: {_HOW}")
    return found[0]
