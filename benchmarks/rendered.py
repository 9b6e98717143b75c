"""Videos with known faces for the engine's endurance: two that cross, a crowd, and shots cut together."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import av
import numpy as np

from flowtell import samples

__all__ = ["Scene", "cross", "crowd", "cut_together", "write_scene"]

FRAMES_PER_S = 25


@dataclass(frozen=True)
class Scene:
    """Frames, and where each face is in them.

    Attributes:
        frames: uint8 `[H, W, 3]` RGB, an iterable.
        centres: function from frame number and face to (x, y) in px; None where the face is not in view.
        faces: how many there are.
    """

    frames: object
    centres: object
    faces: int


def _portraits(side_px):
    """Return the natural sample at another size, forth and back: uint8 `[192, side_px, side_px, 3]`.

    Shown round and round it never jumps, as it would from its last frame to its first.
    """
    with av.open(str(samples.natural_path())) as container:
        pictures = [frame.reformat(width=side_px, height=side_px) for frame in container.decode(video=0)]
    forth = [picture.to_ndarray(format="rgb24") for picture in pictures]
    return np.stack(forth + forth[-2:0:-1])


def cross(frames=200):
    """Return two faces that walk through each other's way once, in 1280x720, 4 px a frame."""
    portraits = _portraits(300)

    def centre(number, face):
        way = 4 * number
        return (180 + way if face == 0 else 1280 - 180 - way, 340 if face == 0 else 380)

    def frame(number):
        canvas = np.full((720, 1280, 3), 110, np.uint8)
        for face in (1, 0):
            x, y = (round(value) - 150 for value in centre(number, face))
            canvas[y : y + 300, x : x + 300] = portraits[(number + 31 * face) % len(portraits)]
        return canvas

    return Scene((frame(number) for number in range(frames)), centre, 2)


def crowd(frames=100):
    """Return eight faces in 3840x2160, each swaying in a place of its own."""
    portraits = _portraits(640)

    def centre(number, face):
        sway = 20 * math.sin((number + 9 * face) / 8)
        return (480 + 960 * (face % 4) + sway, 540 + 1080 * (face // 4))

    def frame(number):
        canvas = np.full((2160, 3840, 3), 110, np.uint8)
        for face in range(8):
            x, y = (round(value) - 320 for value in centre(number, face))
            canvas[y : y + 640, x : x + 640] = portraits[(number + 11 * face) % len(portraits)]
        return canvas

    return Scene((frame(number) for number in range(frames)), centre, 8)


def cut_together(paths, frames_each=50, size=(640, 360)):
    """Return the frames of real videos one after the other, so many of each, all scaled to one size.

    Returns:
        (frames, numbers of the frames at which another shot begins).
    """
    shots = []
    for path in paths:
        with av.open(str(path)) as container:
            pictures = itertools.islice(container.decode(video=0), frames_each)
            shots.append([p.reformat(*size).to_ndarray(format="rgb24") for p in pictures])
    starts = list(itertools.accumulate(len(shot) for shot in shots))[:-1]
    return [frame for shot in shots for frame in shot], starts


def write_scene(path, frames):
    """Write frames as a video of 25 a second, H.264, nearly without loss."""
    with av.open(str(path), "w") as container:
        stream = None
        for frame in frames:
            if stream is None:
                stream = container.add_stream("libx264", rate=FRAMES_PER_S, options={"crf": "12"})
                stream.height, stream.width = frame.shape[:2]
                stream.pix_fmt = "yuv420p"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return path
