"""The videos cut otherwise than the recipe has it, for the study: crops of other sizes, a crop a frame."""

from dataclasses import dataclass
from pathlib import Path

from flowtell.training.prepare import PrepareSettings, prepare

__all__ = ["RECUTS", "Recut", "recut"]


@dataclass(frozen=True)
class Recut:
    """One way to cut the clips.

    Attributes:
        name: of the folder within a run.
        label: what tables call it.
        crop_size: side S of the crops in px, a multiple of 64.
        faces: as `PrepareSettings` has it.
    """

    name: str
    label: str
    crop_size: int
    faces: str = "engine"


RECUTS = (
    Recut("crops-192", "192 px", 192),
    Recut("crops-128", "128 px", 128),
    Recut("crops-a-frame", "one a frame, as the original", 256, "haar"),
)


def recut(cut, videos, folder, bundle, clips_per_file, flow, progress=None):
    """Cut the clips of videos in another way, and compute their flow; returns the `PreparedSet`.

    Args:
        cut: a `Recut`.
        videos: list of `LabelledVideo`.
        folder: of the run.
        bundle: whose crops are of the size that `cut` asks for.
        clips_per_file: at most so many clips of each video.
        flow: whose flow it is, see `open_flow_source`: a network, since a bundle is of one size.
        progress: see `prepare`.
    """
    settings = PrepareSettings(clips_per_file, faces=cut.faces)
    return prepare(videos, Path(folder) / cut.name, bundle, flow, settings, progress)
