"""The face clips that a gate compares on, each with where it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from flowtell import Bundle, DecodeError, InputError, iter_face_clips
from flowtell._decode import VIDEO_SUFFIXES

__all__ = ["GateClip", "clips_of_files"]


@dataclass(frozen=True, eq=False)
class GateClip:
    """Face crops, ``uint8 [n + 1, S, S, 3]`` RGB for n pairs, with the video and the second they begin at."""

    file: Path
    start_s: float
    frames: np.ndarray

    @property
    def name(self) -> str:
        """What a report calls the clip."""
        return f"{self.file} at {self.start_s:.2f} s"


def clips_of_files(
    paths: Iterable[Path], bundle: Bundle, clips_per_file: int, pairs: int
) -> Iterator[GateClip]:
    """Yield face clips of videos, cut as the engine cuts them.

    Args:
        paths: videos, and folders that are searched for videos.
        bundle: whose graphs up to the crop are used.
        clips_per_file: at most so many of each video, from its start.
        pairs: at most so many of each clip, from its start.

    Raises:
        InputError: there is no such file, or a folder without videos.
        flowtell.DecodeError: a video cannot be read.
    """
    for path in [video for given in paths for video in _videos(given)]:
        try:
            for clip in islice(iter_face_clips(path, bundle), clips_per_file):
                yield GateClip(path, clip.start_s, clip.frames[: pairs + 1])
        except DecodeError as error:
            raise DecodeError(error.state, f"'{path}': {error}") from error


def _videos(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = sorted(
        file for file in path.rglob("*") if file.suffix.lower() in VIDEO_SUFFIXES and file.is_file()
    )
    if not found:
        raise InputError(f"there is no video at '{path}'")
    return found
