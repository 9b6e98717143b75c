"""Looks for a CUDA GPU through its driver, before any library is asked that needs one."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

__all__ = ["Gpu", "NoGpuError", "first_gpu"]

_LIBRARY = "libcuda.so.1"
# CUdevice_attribute of CUDA's driver interface
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76
_NAME_BYTES = 256


@dataclass(frozen=True)
class Gpu:
    """A CUDA device: its name, and its compute capability, such as `8.6`."""

    name: str
    compute_capability: str


class NoGpuError(Exception):
    """There is no CUDA GPU; the message is why, as the second half of a sentence."""


def first_gpu() -> Gpu:
    """Return the GPU that CUDA counts first.

    Raises:
        NoGpuError: where there is none, or no driver for it.
    """
    try:
        driver = ctypes.CDLL(_LIBRARY)
    except OSError:
        raise NoGpuError(f"the NVIDIA driver ({_LIBRARY}) is not there") from None
    count, device, value = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    status = driver.cuInit(0)
    if status:
        raise NoGpuError(f"the NVIDIA driver finds no GPU that it can use (CUDA error {status})")
    if driver.cuDeviceGetCount(ctypes.byref(count)) or count.value < 1:
        raise NoGpuError("the NVIDIA driver counts no GPU")
    name = ctypes.create_string_buffer(_NAME_BYTES)
    numbers = []
    failed = driver.cuDeviceGet(ctypes.byref(device), 0) or driver.cuDeviceGetName(name, _NAME_BYTES, device)
    for attribute in (_CAPABILITY_MAJOR, _CAPABILITY_MINOR):
        failed = failed or driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
        numbers.append(str(value.value))
    if failed:
        raise NoGpuError(f"the NVIDIA driver cannot describe its GPU (CUDA error {failed})")
    return Gpu(name.value.decode("ascii", "replace"), ".".join(numbers))
