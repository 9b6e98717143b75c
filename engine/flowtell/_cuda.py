"""CUDA's memory and streams, through NVIDIA's `cuda-bindings`."""

from __future__ import annotations

import importlib
import importlib.util
import weakref
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._errors import InputError, ProviderError

__all__ = ["CudaStream", "DeviceBuffer", "device_address", "has_cuda_bindings", "load_cuda"]


def has_cuda_bindings() -> bool:
    """Tell whether `cuda-bindings` is installed; it is not loaded for that."""
    try:
        return importlib.util.find_spec("cuda.bindings") is not None
    except ModuleNotFoundError:  # not even the package that holds it
        return False


def load_cuda() -> ModuleType:
    """Import CUDA's runtime interface.

    Raises:
        ProviderError: where it cannot be.
    """
    try:
        return importlib.import_module("cuda.bindings.runtime")
    except ImportError as error:
        raise ProviderError(f"cuda-bindings cannot be loaded ({error}): reinstall it") from error


def _require(answer: tuple[Any, ...]) -> Any:
    """Return the value of an answer of CUDA's, `(status, value...)`.

    Raises:
        ProviderError: where the status is an error.
    """
    status, *values = answer
    if int(status):
        raise ProviderError(f"CUDA failed: {getattr(status, 'name', status)}")
    return values[0] if values else None


class DeviceBuffer:
    """Memory of the GPU that grows with what is asked of it, and is given back with the object."""

    def __init__(self, cuda: ModuleType) -> None:
        self._cuda = cuda
        self._bytes = 0
        self.address = 0
        self._release: Callable[[], object] = weakref.finalize(self, int)

    def reserve(self, size_bytes: int) -> int:
        """Return the address of at least so many bytes; what was there is lost where it has to grow.

        Raises:
            ProviderError: where the GPU has not enough memory.
        """
        if size_bytes > self._bytes:
            self._release()
            self._bytes = 0
            self.address = int(_require(self._cuda.cudaMalloc(size_bytes)))
            self._bytes = size_bytes
            self._release = weakref.finalize(self, self._cuda.cudaFree, self.address)
        return self.address


class CudaStream:
    """A queue of work for the GPU, and copies in it."""

    def __init__(self, cuda: ModuleType) -> None:
        self._cuda = cuda
        self._stream = _require(cuda.cudaStreamCreate())
        weakref.finalize(self, cuda.cudaStreamDestroy, self._stream)

    @property
    def handle(self) -> int:
        """The stream as an integer, as TensorRT takes it."""
        return int(self._stream)

    def copy_in(self, address: int, array: NDArray[Any]) -> None:
        """Copy a C-contiguous array to the GPU; it must live until `wait` returns."""
        self._copy(address, array.ctypes.data, array.nbytes, "cudaMemcpyHostToDevice")

    def copy_out(self, array: NDArray[Any], address: int) -> None:
        """Copy from the GPU into a C-contiguous array, which is filled when `wait` returns."""
        self._copy(array.ctypes.data, address, array.nbytes, "cudaMemcpyDeviceToHost")

    def wait(self) -> None:
        """Return when everything in the stream is done; raises `ProviderError` where some of it failed."""
        _require(self._cuda.cudaStreamSynchronize(self._stream))

    def _copy(self, to: int, start: int, size_bytes: int, kind: str) -> None:
        direction = getattr(self._cuda.cudaMemcpyKind, kind)
        _require(self._cuda.cudaMemcpyAsync(to, start, size_bytes, direction, self._stream))


def device_address(value: Any, dtype: np.dtype[Any]) -> tuple[int, tuple[int, ...]]:
    """Return address and shape of an array on the GPU, which is used where it lies.

    PyTorch, CuPy, Numba and PyCUDA's GPUArray describe theirs by `__cuda_array_interface__`. What fills it
    must be over: synchronise its stream before.

    Raises:
        InputError: where it has another type, or gaps between its values.
    """
    described = value.__cuda_array_interface__
    shape = tuple(int(size) for size in described["shape"])
    if np.dtype(described["typestr"]) != dtype:
        raise InputError(f"an array on the GPU must be {dtype}, not {np.dtype(described['typestr'])}")
    steps = described.get("strides")
    packed = tuple(
        int(np.prod(shape[axis + 1 :], dtype=np.int64)) * dtype.itemsize for axis in range(len(shape))
    )
    if steps is not None and tuple(steps) != packed:
        raise InputError("an array on the GPU must be C-contiguous: make a contiguous copy of it there")
    return int(described["data"][0]), shape
