"""The float types of two bytes that a detector can compute in."""

from __future__ import annotations

from dataclasses import dataclass

import ml_dtypes
import numpy as np
from onnx import TensorProto

__all__ = ["BFLOAT16", "FLOAT16", "NarrowFloat"]


@dataclass(frozen=True)
class NarrowFloat:
    """A float type of two bytes.

    Attributes:
        element: its number in ``onnx.TensorProto``.
        dtype: NumPy's.
        bits: that a number keeps, the leading one that is not stored among them.
        largest: finite number.
    """

    element: int
    dtype: np.dtype
    bits: int
    largest: float


FLOAT16 = NarrowFloat(TensorProto.FLOAT16, np.dtype(np.float16), 11, float(np.finfo(np.float16).max))
# Google's "brain float": the upper half of a float32, so with its range.
BFLOAT16 = NarrowFloat(
    TensorProto.BFLOAT16, np.dtype(ml_dtypes.bfloat16), 8, float(ml_dtypes.finfo(ml_dtypes.bfloat16).max)
)
