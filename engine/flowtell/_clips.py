"""Turns frames, pushed one at a time, into face clips: T+1 consecutive crops of one face in one unmoving box.

A face is looked for at the start of a clip and checked at its end, not on every frame. What is held is one
frame and at most T+1 crops of at most 16 faces, or what they are made of, however long the video is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ._face_crops import Cropper, FaceCrop, WaitingPixels, visible_place
from ._faces import Box, Face, FaceFinder, square_box
from ._frame import Frame, RgbFrame
from ._tracks import OpenClip, Track, is_same_face, match_faces

__all__ = ["ClipMaker", "FaceClip"]

MIN_PAIRS = 4
"""A clip of fewer frame pairs is dropped."""

MIN_FACE_PX = 64
"""Longer side of a face below which it is not judged."""

MAX_TRACKS = 16
"""Faces followed at a time, the larger first: each holds T+1 crops, 3.3 MB at S = 256 and T = 16."""

_LOOK_AGAIN_FRAMES = MIN_PAIRS
"""With a face missing, one frame in so many is searched: a face seen for less could not be judged anyway."""

_LOST_AFTER_S = 1.0
"""A face out of sight for longer begins a new track when it comes back."""

_HELD_SHARE = 0.85
"""Share of a face's area that must lie in the clip's box for the face to count as in it."""

_KEPT_AREA = 0.8
"""Share of its first area that a face must show in a later crop to count as in it. The detector gives a
face that the crop's edge cuts off a smaller box, not one that reaches outside."""

_BACKGROUND_RATIO = 2
"""A face is in the background where another in the same frame is more than so many times its size:
`docs/decisions/0006-which-faces-decide.md`."""


class FaceClip:
    """Consecutive frames of one tracked face, all cropped with the same box.

    Attributes:
        track: number of the face in its file, from 0.
        start_s: presentation time of the first frame, in seconds.
        end_s: presentation time of the last frame, in seconds.
        box: (x, y, w, h) in px of the upright frame, even, square; may reach outside the frame.
        is_background: whether, at its start, another face in the frame was more than twice as large.
        times_s: presentation time of each frame, in seconds.
        part_of: number of the clip in its file that it was cut out of; None for a whole one.
    """

    def __init__(
        self,
        track: int,
        start_s: float,
        end_s: float,
        box: Box,
        is_background: bool,
        frames: NDArray[np.uint8] | Sequence[FaceCrop],
        times_s: Sequence[float],
        part_of: int | None = None,
    ) -> None:
        """Take the clip's frames, or the crops that they are made of when they are first asked for."""
        self.track = track
        self.start_s = start_s
        self.end_s = end_s
        self.box = box
        self.is_background = is_background
        self.times_s = tuple(times_s)
        self.part_of = part_of
        self._frames = frames

    def __repr__(self) -> str:
        """Name the clip by face, time and size."""
        span = f"{self.start_s:.3f} s to {self.end_s:.3f} s"
        return f"<FaceClip of face {self.track}, {span}, {self.pairs} pairs>"

    @property
    def frames(self) -> NDArray[np.uint8]:
        """`uint8 [n + 1, S, S, 3]` RGB for n pairs, 4 <= n <= T; may be made now, by `crop.onnx`."""
        frames = self._frames
        if not isinstance(frames, np.ndarray):
            frames = self._frames = np.stack([crop.image for crop in frames])
        return frames

    @property
    def pairs(self) -> int:
        """Number of consecutive frame pairs, n."""
        return len(self._frames) - 1

    def part(self, first: int, last: int, number: int | None = None) -> FaceClip:
        """Return the clip of the frames from `first` to `last`, both of them in it.

        `number` is what its `part_of` says.
        """
        frames = self._frames[first : last + 1]
        if isinstance(frames, np.ndarray):
            frames = frames.copy()  # a view would keep the whole clip
        times_s = self.times_s[first : last + 1]
        start_s, end_s = times_s[0], times_s[-1]
        return FaceClip(self.track, start_s, end_s, self.box, self.is_background, frames, times_s, number)


class ClipMaker:
    """Takes the frames of one video in order and gives back the face clips as they complete.

    Attributes:
        frames: distinct frames pushed so far (exact duplicates of the previous frame are skipped).
        pairs: frame pairs on which a face was followed, those of dropped clips included.
        small_faces: faces seen that were under 64 px.
        found_faces: faces seen that were not.
        made: of every clip that was given back: its track, whether it is in the background, its pairs.
    """

    def __init__(
        self,
        finder: FaceFinder,
        cropper: Cropper,
        pairs_per_clip: int,
        margin: float,
        waiting: WaitingPixels | None,
    ) -> None:
        """Make crops when they are asked for, as far as `waiting` has room; None makes each at once."""
        self._finder = finder
        self._cropper = cropper
        self._pairs_per_clip = pairs_per_clip
        self._margin = margin
        self._waiting = waiting
        self._tracks: list[Track] = []
        self._next_number = 0
        self._previous: Frame | None = None
        self._frames_since_look = _LOOK_AGAIN_FRAMES
        self.frames = 0
        self.pairs = 0
        self.small_faces = 0
        self.found_faces = 0
        self.made: list[tuple[int, bool, int]] = []

    def push(self, frame: Frame) -> list[FaceClip]:
        """Take the next frame; return the clips that it completed, in the order of their tracks.

        An error of a graph ends every clip and track, without a clip: some may lack the frame.
        """
        try:
            return self._push(frame)
        except BaseException:
            self._tracks = []
            self._frames_since_look = _LOOK_AGAIN_FRAMES
            raise

    def _push(self, frame: Frame) -> list[FaceClip]:
        done: list[FaceClip] = []
        if self._previous is not None:
            box = next((track.clip.box for track in self._tracks if track.clip), None)
            if frame.shows_the_same(self._previous, box and visible_place(frame, box)):
                return []
            if (frame.height, frame.width) != (self._previous.height, self._previous.width):
                done += self.finish()
        self._previous = frame
        self.frames += 1
        self._frames_since_look += 1
        done += self._grow(frame)
        if self._is_look_due():
            done += self._look(frame)
        return done

    def finish(self) -> list[FaceClip]:
        """Close every clip that is still growing and end every track: the video ended, or the shot."""
        done = [clip for track in self._tracks for clip in self._close_checked(track)]
        self._tracks = []
        self._frames_since_look = _LOOK_AGAIN_FRAMES
        return done

    def _grow(self, frame: Frame) -> list[FaceClip]:
        """Add the frame to every open clip; a shot cut closes them all before it and ends every track.

        A cut changes the whole picture, though it may be seen in the crop of one face alone.
        """
        grown: list[tuple[OpenClip, FaceCrop]] = []
        for track in self._tracks:
            clip = track.clip
            if clip is None:
                continue
            crop = self._cropper.cut(frame, clip.box)
            if track.cuts.is_cut(clip.crops[-1], crop):
                return self.finish()
            grown.append((clip, crop))
        for clip, crop in grown:
            self._make_or_put_off(crop)
            clip.append(frame.time_s, crop)
        return []

    def _make_or_put_off(self, crop: FaceCrop) -> None:
        if self._waiting is None:
            _ = crop.image
        else:
            crop.wait_in(self._waiting)

    def _is_look_due(self) -> bool:
        clips = [track.clip for track in self._tracks]
        full = any(clip is not None and clip.pairs >= self._pairs_per_clip for clip in clips)
        return full or ((not clips or None in clips) and self._frames_since_look >= _LOOK_AGAIN_FRAMES)

    def _look(self, frame: Frame) -> list[FaceClip]:
        """Search the frame: check the clips that end here, begin the next ones, meet new faces."""
        self._frames_since_look = 0
        found = self._finder.find(frame)
        faces = [face for face in found if face.size_px >= MIN_FACE_PX]
        self.small_faces += len(found) - len(faces)
        self.found_faces += len(faces)
        largest_px = max((face.size_px for face in faces), default=0.0)
        matches = match_faces(self._tracks, faces, frame.time_s, self._margin)
        done: list[FaceClip] = []
        for index, track in enumerate(self._tracks):
            face = faces[matches[index]] if index in matches else None
            if face is not None:
                track.see(face, frame.time_s)
            clip = track.clip
            if clip is not None and clip.pairs < self._pairs_per_clip:
                continue
            if clip is not None:
                done += self._close_full(track, clip, face)
            if face is not None:
                self._begin(track, face, frame, largest_px)
        self._tracks = [
            track for track in self._tracks if track.clip or frame.time_s - track.seen_s <= _LOST_AFTER_S
        ]
        met = [face for index, face in enumerate(faces) if index not in matches.values()]
        for face in sorted(met, key=lambda face: -face.size_px)[: MAX_TRACKS - len(self._tracks)]:
            track = Track(self._next_number, face, frame.time_s)
            self._next_number += 1
            self._tracks.append(track)
            self._begin(track, face, frame, largest_px)
        return done

    def _begin(self, track: Track, face: Face, frame: Frame, largest_px: float) -> None:
        box = square_box(face, self._margin)
        is_background = largest_px > _BACKGROUND_RATIO * face.size_px
        crop = self._cropper.cut(frame, box)
        self._make_or_put_off(crop)
        track.clip = OpenClip(box, face, is_background, [frame.time_s], [crop])

    def _close_full(self, track: Track, clip: OpenClip, face: Face | None) -> list[FaceClip]:
        """Close a clip of T pairs at a look that found its face at `face`, or did not find it."""
        if face is None:
            # small in a large frame it may have been missed; the crops show it larger
            return self._close_checked(track)
        if face.share_inside(clip.box) >= _HELD_SHARE:
            return self._close(track)
        clip.keep(clip.pairs)
        return self._close_checked(track)

    def _close_checked(self, track: Track) -> list[FaceClip]:
        """Close the track's clip after its last frame in which the face is still in the box.

        The frames themselves are gone, so the face is looked for in the crops.
        """
        clip = track.clip
        if clip is not None:
            last = clip.pairs
            while last >= MIN_PAIRS and not self._holds_face(clip, clip.crops[last].image):
                last -= 1
            clip.keep(last + 1)
        return self._close(track)

    def _holds_face(self, clip: OpenClip, crop: NDArray[np.uint8]) -> bool:
        left, top, side, _ = clip.box
        scale = side / crop.shape[0]
        faces = [
            Face(left + face.x * scale, top + face.y * scale, face.w * scale, face.h * scale, face.score)
            for face in self._finder.find(RgbFrame(crop, 0.0))
        ]
        for face in faces:
            share = face.share_inside(clip.box)
            shown = share * face.area_px2 / clip.face.area_px2
            if share >= _HELD_SHARE and shown >= _KEPT_AREA and is_same_face(face, clip.face, self._margin):
                return True
        return False

    def _close(self, track: Track) -> list[FaceClip]:
        clip, track.clip = track.clip, None
        if clip is None:
            return []
        self.pairs += clip.pairs
        if clip.pairs < MIN_PAIRS:
            return []
        self.made.append((track.number, clip.is_background, clip.pairs))
        start_s, end_s = clip.times_s[0], clip.times_s[-1]
        done = FaceClip(track.number, start_s, end_s, clip.box, clip.is_background, clip.crops, clip.times_s)
        if self._waiting is None:
            _ = done.frames
        return [done]
