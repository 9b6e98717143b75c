"""Face clips of many videos on disk, cut by the engine's own decoder, face finder, tracks and crops."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import flowtell
from flowtell.training.run_folder import claim, whole_file

__all__ = ["StoredClips", "load_clips", "store_clips"]


@dataclass(frozen=True)
class StoredClips:
    """The clips of one video.

    Attributes:
        frames: uint8 `[N, T+1, S, S, 3]` RGB, mapped from disk.
        tracks: the face track of each clip.
        start_s: presentation time of each clip's first frame, in seconds.
    """

    frames: np.ndarray
    tracks: list[int]
    start_s: list[float]


def store_clips(paths, folder, bundle, clips_per_file):
    """Cut the face clips of videos and store them, one array and one JSON file a video; resumes.

    Clips with fewer than T pairs are left out: every training clip has the bundle's length. So are faces in
    the background: the label of a video is that of its main face.

    Args:
        paths: videos.
        folder: where to; made if need be. Names are numbered in the order of `paths`.
        bundle: a bundle (its `faces` and `crop` graphs are used) or its folder.
        clips_per_file: how many clips to keep of each, spread evenly over it.

    Returns:
        list of (path, reason) of the videos that gave no clip.

    Raises:
        ValueError: if the folder holds clips of other videos, or cut otherwise.
        flowtell.FlowtellError: if the bundle cannot be opened.
    """
    folder = Path(folder)
    bundle = bundle if isinstance(bundle, flowtell.Bundle) else flowtell.Bundle.open(bundle)
    made_with = {name: bundle.manifest.graphs[name]["fp32"].sha256 for name in ("faces", "crop")}
    names = [Path(path).name for path in paths]
    claim(folder, {"files": names, "clips_per_file": clips_per_file, **made_with})
    dropped = []
    for index, path in enumerate(paths):
        record_path = folder / f"{index:05d}.json"
        if not record_path.exists():
            _store_one(path, folder / f"{index:05d}.npy", record_path, bundle, clips_per_file)
        record = json.loads(record_path.read_text())
        if not record["tracks"]:
            dropped.append((path, record["reason"]))
    return dropped


def _store_one(path, array_path, record_path, bundle, clips_per_file):
    reason = "no clip of full length"
    clips = []
    length = bundle.manifest.pairs_per_clip + 1
    try:
        for clip in flowtell.iter_face_clips(path, bundle, max_clips=clips_per_file):
            if len(clip.frames) == length and not clip.is_background:
                clips.append(clip)
    except flowtell.DecodeError as error:
        reason = str(error)
    if clips:
        with whole_file(array_path) as scratch:
            np.save(scratch, np.stack([c.frames for c in clips]))
    record = {
        "file": Path(path).name,
        "tracks": [c.track for c in clips],
        "start_s": [c.start_s for c in clips],
        "reason": None if clips else reason,
    }
    # The record is written last: where it exists, the array is whole.
    with whole_file(record_path) as scratch:
        scratch.write_text(json.dumps(record))


def load_clips(folder, index):
    """Return the `StoredClips` of video number `index`; None where it gave no clip.

    Raises:
        FileNotFoundError: if the video was never stored.
    """
    folder = Path(folder)
    record = json.loads((folder / f"{index:05d}.json").read_text())
    if not record["tracks"]:
        return None
    frames = np.load(folder / f"{index:05d}.npy", mmap_mode="r", allow_pickle=False)
    return StoredClips(frames, record["tracks"], record["start_s"])
