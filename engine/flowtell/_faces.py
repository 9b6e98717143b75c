"""Finds faces in a frame: `faces.onnx` and the arithmetic of boxes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._clock import StageClock
from ._frame import Frame
from ._sessions import GraphSession, require_shape

__all__ = ["Box", "Face", "FaceFinder", "iou", "merge_candidates", "square_box"]

Box = tuple[int, int, int, int]
"""(x, y, w, h): whole even pixels of the frame, w = h; may reach outside the frame."""

_SAME_FACE_IOU = 0.3
"""Overlap from which two candidates are one face: YuNet's own non-maximum suppression uses this value."""

_MAX_CORNER_PX = 1 << 20
"""How far from the frame's origin a candidate may reach: beyond any frame, and boxes stay 32-bit numbers."""

_MIN_SIDE_PX = 1
"""Of a candidate: no mean of such candidates is without area."""


@dataclass(frozen=True, slots=True)
class Face:
    """A face in a frame: left, top, width and height in px of the frame, and its score in [0, 1]."""

    x: float
    y: float
    w: float
    h: float
    score: float

    @property
    def size_px(self) -> float:
        """Its longer side."""
        return max(self.w, self.h)

    @property
    def area_px2(self) -> float:
        """Its area in square pixels."""
        return self.w * self.h

    def share_inside(self, box: Box) -> float:
        """Return the share of the face's area that lies inside `box`, 0 to 1."""
        left, top, width, height = box
        inside_w = min(self.x + self.w, left + width) - max(self.x, left)
        inside_h = min(self.y + self.h, top + height) - max(self.y, top)
        return max(inside_w, 0.0) * max(inside_h, 0.0) / self.area_px2


MIN_FRAME_PX = 32
"""Frames with a shorter side are not searched: they show less than half of the smallest face that is judged,
and faces.onnx, which scales the longer side to a bound, would be left with no rows or columns at all."""


class FaceFinder:
    """Finds the faces of a frame."""

    def __init__(self, session: GraphSession, clock: StageClock) -> None:
        self._session = session
        self._clock = clock

    def find(self, frame: Frame) -> list[Face]:
        """Return the faces in `frame`, best score first."""
        if min(frame.height, frame.width) < MIN_FRAME_PX:
            return []
        with self._clock.stage("faces"):
            boxes, scores = self._session.run(("boxes", "scores"), frame=frame.image)
        require_shape(scores, (scores.size,), "faces.onnx")
        require_shape(boxes, (scores.size, 4), "faces.onnx")
        return merge_candidates(boxes, scores)


def merge_candidates(boxes: NDArray[np.float32], scores: NDArray[np.float32]) -> list[Face]:
    """Merge the candidates that fire on one face into their score-weighted mean box.

    Several anchors answer to one face with scores that differ in the fifth digit. Keeping the best one would
    let a rounding error choose the box; their mean moves only as far as the rounding error itself.

    Args:
        boxes: `float32 [N, 4]`, (x, y, w, h) in px of the frame.
        scores: `float32 [N]`.

    Returns:
        Faces, best score first. Boxes that are not finite, that have a side under 1 px or that reach further
        than 2**20 px are left out. The sums are rounded once, so that every host and every order gives the
        same (`docs/decisions/0010-sums-that-are-rounded-once.md`).
    """
    weights = scores.astype(np.float64)
    corners = boxes.astype(np.float64)
    with np.errstate(invalid="ignore"):
        # infinities may cancel; a comparison with what is not a number is false
        corners[:, 2:] += corners[:, :2]
        usable = (corners[:, 2:] - corners[:, :2] >= _MIN_SIDE_PX).all(axis=1)
    usable &= (np.abs(corners) <= _MAX_CORNER_PX).all(axis=1) & np.isfinite(weights) & (weights > 0)
    waiting = np.flatnonzero(usable)
    waiting = waiting[np.argsort(-weights[waiting], kind="stable")]
    faces = []
    while waiting.size:
        same = _overlaps(corners[waiting[0]], corners[waiting]) >= _SAME_FACE_IOU
        voters, waiting = waiting[same], waiting[~same]
        total = math.fsum(weights[voters])
        votes = (corners[voters] * weights[voters, None]).T
        left, top, right, bottom = (math.fsum(vote) / total for vote in votes)
        faces.append(Face(left, top, right - left, bottom - top, float(weights[voters[0]])))
    return faces


def square_box(face: Face, margin: float) -> Box:
    """Return the square around `face` whose side is `margin` times its longer side, on even pixels.

    Even pixels keep the box on the chroma grid of 4:2:0 video and absorb the detector's rounding errors.
    """
    side = margin * face.size_px
    even_side = max(_nearest_even(side), 2)
    x = _nearest_even(face.x + face.w / 2 - side / 2)
    y = _nearest_even(face.y + face.h / 2 - side / 2)
    return (x, y, even_side, even_side)


def _nearest_even(value: float) -> int:
    # floor(x + 0.5), not round(): halves go one way in every language
    return 2 * math.floor(value / 2 + 0.5)


def iou(first: Box, second: Box) -> float:
    """Return the intersection over union of two boxes, 0 to 1."""
    corners = np.array([first, second], dtype=np.float64)
    corners[:, 2:] += corners[:, :2]
    return float(_overlaps(corners[0], corners[1:])[0])


def _overlaps(corner: NDArray[np.float64], corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the intersection over union of one box with several, all (left, top, right, bottom)."""
    inside = np.minimum(corner[2:], corners[:, 2:]) - np.maximum(corner[:2], corners[:, :2])
    inside = np.clip(inside, 0.0, None).prod(axis=1)
    areas = (corners[:, 2:] - corners[:, :2]).prod(axis=1)
    overlaps: NDArray[np.float64] = inside / ((corner[2:] - corner[:2]).prod() + areas - inside)
    return overlaps
