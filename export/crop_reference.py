"""What `crop.onnx` is to compute, said again in NumPy: the other side of the gate's first stage."""

from __future__ import annotations

import numpy as np

__all__ = ["odd_frame", "reference_boxes", "reference_crop"]

# Neither square nor even: what takes one side for the other, or halves a side, shows.
_ODD_HEIGHT, _ODD_WIDTH = 117, 213


def reference_crop(frame: np.ndarray, box: tuple[int, int, int, int], size: int) -> np.ndarray:
    """Cut a box out of a frame, the frame's edge pixels repeated for ever, and resize it.

    Args:
        frame: ``uint8 [H, W, 3]``.
        box: x, y, width, height in px; may reach outside.
        size: S, side of the crop in px.

    Returns:
        ``uint8 [S, S, 3]``: a triangle filter, widened where it shrinks; rounded half up.
    """
    x, y, width, height = box
    rows = np.clip(np.arange(y, y + height), 0, frame.shape[0] - 1)
    columns = np.clip(np.arange(x, x + width), 0, frame.shape[1] - 1)
    inside = frame[rows][:, columns].astype(np.float64)
    # one axis after the other: both at once would cost a product of all five sizes
    shrunk = np.tensordot(_triangles(height, size), inside, axes=(1, 0))
    resized = np.tensordot(shrunk, _triangles(width, size), axes=(1, 1)).transpose(0, 2, 1)
    return np.floor(resized + 0.5).astype(np.uint8)


def odd_frame() -> np.ndarray:
    """Return ``uint8 [117, 213, 3]``, the same noise on every call: face crops are square, frames are not."""
    return np.random.default_rng(0).integers(0, 256, (_ODD_HEIGHT, _ODD_WIDTH, 3), dtype=np.uint8)


def reference_boxes(height: int, width: int) -> list[tuple[int, int, int, int]]:
    """Return boxes that a frame of this size is cut with in the gate: shrunk, enlarged, over an edge."""
    return [
        (0, 0, width, height),
        (width // 4, height // 4, width // 2, height // 2),
        (-width // 4, height // 3, width, height),
    ]


def _triangles(source: int, target: int) -> np.ndarray:
    """Return ``float64 [target, source]``: one triangle a row, rows summing to one."""
    step = source / target
    centres = (np.arange(target) + 0.5) * step
    offsets = np.abs(np.arange(source) + 0.5 - centres[:, None]) / max(step, 1.0)
    weights = np.maximum(0.0, 1.0 - offsets)
    return weights / weights.sum(axis=1, keepdims=True)
