"""Pictures that synthetic motion is painted with."""

from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np

from flowtell import InputError
from flowtell.training._spread import evenly_spread
from flowtell.training.video import read_key_frames

__all__ = ["PACKAGED_PICTURES", "load_textures"]

# Pictures that scikit-image carries under permissive terms. Its portrait of an astronaut is left out on
# purpose: the bundled samples are made from it, and nothing may be trained on what it is shown to.
PACKAGED_PICTURES = (
    "brick.png",
    "camera.png",
    "cell.png",
    "chelsea.png",
    "clock_motion.png",
    "coffee.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "moon.png",
    "motorcycle_left.png",
    "page.png",
    "retina.jpg",
    "rocket.jpg",
    "text.png",
)
# Larger pictures are shrunk: one crop of a few hundred pixels should see structure, not a blur.
MAX_SIDE_PX = 720


def load_textures(videos=(), frames_per_video=8):
    """Load the packaged pictures and, if given, frames of videos.

    Args:
        videos: paths of videos; frames are taken evenly over each.
        frames_per_video: how many.

    Returns:
        list of uint8 `[H, W, 3]` RGB, each side between 64 and `MAX_SIDE_PX`.

    Raises:
        FileNotFoundError: if a packaged picture is not there.
        InputError: if a video cannot be read or has no pictures.
    """
    folder = files("skimage") / "data"
    textures = [_bounded(_read_picture(Path(str(folder / name)))) for name in PACKAGED_PICTURES]
    for video in videos:
        textures.extend(_bounded(frame) for frame in _even_frames(Path(video), frames_per_video))
    return textures


def _read_picture(path):
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise FileNotFoundError(f"cannot read {path.name}: install scikit-image, which carries it")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def _bounded(picture):
    scale = MAX_SIDE_PX / max(picture.shape[:2])
    if scale < 1:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(picture)


def _even_frames(path, count):
    # Key frames are cheap to reach and, under strong compression, the ones with any texture left.
    # Read twice: all of them at once may be more than memory holds.
    found = sum(1 for _ in read_key_frames(path))
    if not found:
        raise InputError(f"'{path}' has no pictures: leave it out")
    picks = evenly_spread(found, count)
    return (frame for i, frame in enumerate(read_key_frames(path)) if i in picks)
