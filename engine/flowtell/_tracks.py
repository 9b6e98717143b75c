"""Tracks: which face of this look is which face of the look before. No pixels here, only boxes and times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ._cuts import CutFinder
from ._faces import Box, Crop, Face, iou, square_box

__all__ = ["OpenClip", "Track", "is_same_face", "match_faces"]

_MIN_IOU = 0.2
"""Overlap of the squares around a face at two looks, T frames apart, for it to be the same face."""


@dataclass(eq=False)
class OpenClip:
    """A face clip that is still growing: one box, and what was cut out of each frame so far."""

    box: Box
    face: Face
    is_background: bool
    signature: NDArray[np.uint8]
    times_s: list[float]
    images: list[NDArray[np.uint8]]

    def append(self, time_s: float, crop: Crop) -> None:
        """Add the next frame."""
        self.times_s.append(time_s)
        self.images.append(crop.image)
        self.signature = crop.signature

    def keep(self, frames: int) -> None:
        """Drop all but the first `frames` frames."""
        del self.times_s[frames:], self.images[frames:]

    @property
    def pairs(self) -> int:
        """Number of consecutive frame pairs."""
        return len(self.images) - 1


@dataclass(eq=False)
class Track:
    """One face followed through a shot; `clip` is None while the face is out of sight."""

    number: int
    face: Face
    seen_s: float
    clip: OpenClip | None = None
    cuts: CutFinder = field(default_factory=CutFinder)


def match_faces(tracks: Sequence[Track], faces: Sequence[Face], margin: float) -> dict[int, int]:
    """Pair tracks with the faces of this look, largest overlap first.

    Args:
        tracks: with the face each had when it was last seen.
        faces: found in this frame.
        margin: of the squares that are compared (the crop margin).

    Returns:
        Index of the track -> index of the face; each appears once at most.
    """
    squares = [square_box(face, margin) for face in faces]
    overlaps = [
        (iou(square_box(track.face, margin), square), t, f)
        for t, track in enumerate(tracks)
        for f, square in enumerate(squares)
    ]
    pairs: dict[int, int] = {}
    for overlap, t, f in sorted(overlaps, key=lambda entry: (-entry[0], entry[1], entry[2])):
        if overlap >= _MIN_IOU and t not in pairs and f not in pairs.values():
            pairs[t] = f
    return pairs


def is_same_face(first: Face, second: Face, margin: float) -> bool:
    """Tell whether two faces, seen up to T frames apart, overlap enough to be one."""
    return iou(square_box(first, margin), square_box(second, margin)) >= _MIN_IOU
