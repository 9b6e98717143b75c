"""Tracks: which face of this look is which face of the look before. No pixels here, only boxes and times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ._cuts import CutFinder
from ._face_crops import FaceCrop
from ._faces import Box, Face, iou, square_box

__all__ = ["OpenClip", "Track", "is_same_face", "match_faces"]

_MIN_IOU = 0.2
"""Overlap of the squares around a face at two looks, T frames apart, for it to be the same face."""

_MAX_AHEAD = 16.0
"""Looks lie 4 frames apart (a face is missing) to 64 (the longest clip): at a steady rate the next one is
at most so many times as far off as the last two are from each other. Times that jump throw no face away."""


@dataclass(eq=False)
class OpenClip:
    """A face clip that is still growing: one box, and what was cut out of each frame so far."""

    box: Box
    face: Face
    is_background: bool
    times_s: list[float]
    crops: list[FaceCrop]

    def append(self, time_s: float, crop: FaceCrop) -> None:
        """Add the next frame."""
        self.times_s.append(time_s)
        self.crops.append(crop)

    def keep(self, frames: int) -> None:
        """Drop all but the first `frames` frames."""
        del self.times_s[frames:], self.crops[frames:]

    @property
    def pairs(self) -> int:
        """Number of consecutive frame pairs."""
        return len(self.crops) - 1


@dataclass(eq=False)
class Track:
    """One face followed through a shot; `clip` is None while the face is out of sight.

    Attributes:
        number: of the track in its file, from 0.
        face: where the face was when it was last seen.
        seen_s: presentation time of that look, in seconds.
        before: where it was at the look before that one; None until it has been seen twice.
        before_s: presentation time of that earlier look.
    """

    number: int
    face: Face
    seen_s: float
    before: Face | None = None
    before_s: float = 0.0
    clip: OpenClip | None = None
    cuts: CutFinder = field(default_factory=CutFinder)

    def see(self, face: Face, time_s: float) -> None:
        """Note where the face is at this look."""
        self.before, self.before_s = self.face, self.seen_s
        self.face, self.seen_s = face, time_s

    def expected_face(self, time_s: float) -> Face:
        """Return where the face is if it moved on as it did between its last two looks, its size kept."""
        if self.before is None or self.seen_s <= self.before_s:
            return self.face
        ahead = min((time_s - self.seen_s) / (self.seen_s - self.before_s), _MAX_AHEAD)
        here, before = self.face, self.before
        moved_x = (here.x + here.w / 2) - (before.x + before.w / 2)
        moved_y = (here.y + here.h / 2) - (before.y + before.h / 2)
        return Face(here.x + ahead * moved_x, here.y + ahead * moved_y, here.w, here.h, here.score)


def match_faces(
    tracks: Sequence[Track], faces: Sequence[Face], time_s: float, margin: float
) -> dict[int, int]:
    """Pair tracks with the faces of this look, largest overlap first.

    A face is looked for where its motion leads; where none is found there, for it may have stopped or turned,
    where it was last seen.

    Args:
        tracks: as they were left by the looks before.
        faces: found in this frame.
        time_s: presentation time of this frame, in seconds.
        margin: of the squares that are compared (the crop margin).

    Returns:
        Index of the track -> index of the face; each appears once at most.
    """
    found = [square_box(face, margin) for face in faces]
    pairs: dict[int, int] = {}
    expected = [square_box(track.expected_face(time_s), margin) for track in tracks]
    last_seen = [square_box(track.face, margin) for track in tracks]
    for sought in (expected, last_seen):
        _pair_by_overlap(sought, found, pairs)
    return pairs


def _pair_by_overlap(sought: Sequence[Box], found: Sequence[Box], pairs: dict[int, int]) -> None:
    """Add the pairs of boxes, both still free, that overlap enough; of equal overlaps the first."""
    overlaps = [
        (iou(box, other), s, f)
        for s, box in enumerate(sought)
        if s not in pairs
        for f, other in enumerate(found)
        if f not in pairs.values()
    ]
    for overlap, s, f in sorted(overlaps, key=lambda entry: (-entry[0], entry[1], entry[2])):
        if overlap >= _MIN_IOU and s not in pairs and f not in pairs.values():
            pairs[s] = f


def is_same_face(first: Face, second: Face, margin: float) -> bool:
    """Tell whether two faces, seen up to T frames apart, overlap enough to be one."""
    return iou(square_box(first, margin), square_box(second, margin)) >= _MIN_IOU
