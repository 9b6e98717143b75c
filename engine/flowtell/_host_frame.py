"""Takes a frame from whoever made it: NumPy, or any library that shares its memory by a protocol.

`__dlpack__` is the array API standard's data interchange, `__array_interface__` NumPy's and
`__cuda_array_interface__` Numba's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ._decode import MAX_FRAME_PX, MAX_SIDE_PX
from ._errors import InputError

__all__ = ["frame_from_host"]

_DLPACK_CPU = 1
"""`kDLCPU` of `dlpack.h`."""

Told = TypeVar("Told")


def frame_from_host(frame: Any) -> NDArray[np.uint8]:
    """Return a copy of a frame, C-contiguous `uint8 [H, W, 3]`; the caller may use its memory again.

    Args:
        frame: `uint8 [H, W, 3]` RGB in host memory: a NumPy array, or an object with `__dlpack__` or
            `__array_interface__`.

    Raises:
        InputError: for another type, shape or size, and for memory of a device.
    """
    array = _host_array(frame)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise InputError(f"a frame must be uint8 [H, W, 3] RGB, not {array.dtype} {list(array.shape)}")
    height, width = array.shape[:2]
    if max(height, width) > MAX_SIDE_PX or height * width > MAX_FRAME_PX:
        raise InputError(
            f"a frame of {width}x{height} px is too large: "
            f"at most {MAX_SIDE_PX} px a side and {MAX_FRAME_PX} px in all are taken"
        )
    return np.array(array, order="C")


def _host_array(frame: Any) -> NDArray[Any]:
    if isinstance(frame, np.ndarray):
        return frame
    if hasattr(frame, "__cuda_array_interface__"):
        raise InputError(_elsewhere("CUDA memory"))
    if hasattr(frame, "__dlpack_device__"):
        kind = _exported(lambda exporter: int(exporter.__dlpack_device__()[0]), frame)
        if kind != _DLPACK_CPU:
            raise InputError(_elsewhere(f"memory of DLPack's device type {kind}"))
        return _exported(np.from_dlpack, frame)
    if hasattr(frame, "__array_interface__"):
        return _exported(np.asarray, frame)
    raise InputError(
        f"a frame must be a NumPy array or have __dlpack__ or __array_interface__, not {type(frame).__name__}"
    )


def _exported(take: Callable[[Any], Told], frame: Any) -> Told:
    try:
        return take(frame)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"this {type(frame).__name__} does not give its pixels to NumPy: {error}; a frame must be uint8 "
            "[H, W, 3] RGB"
        ) from error


def _elsewhere(where: str) -> str:
    return f"the frame lies in {where}, and faces are looked for on the CPU: copy it to host memory first"
