"""A prepared set of pseudo-fakes: parts of another set's real clips, recompressed, and redrawn by machine."""

from pathlib import Path

import numpy as np

from flowtell import FaceClip
from flowtell.training.clip_records import write_clips, write_flow
from flowtell.training.prepared_set import INDEX_FORMAT, INDEX_NAME, PreparedSet
from flowtell.training.pseudo_fakes import PseudoFakeConfig, pseudo_fake, recompressed
from flowtell.training.run_folder import claim, file_sha256, write_json

__all__ = ["pseudo_clips", "write_pseudo_set"]

_MOUTH_SHARE = 0.6


def pseudo_clips(clips, rng, config=None):
    """Make of real clips what a detector can learn from without a manipulated video.

    Both kinds are compressed again, alike, so that compression tells nothing.

    Args:
        clips: uint8 `[N, T+1, S, S, 3]` RGB.
        rng: a `numpy.random.Generator`.
        config: a `PseudoFakeConfig`; None for the default one.

    Returns:
        (real, fake): uint8 `[N, t+1, S, S, 3]` and `[2 N, t+1, S, S, 3]`, of the frames in the middle half of
        each clip. Of each clip one fake has another face, one another mouth or other eyes.
    """
    config = config or PseudoFakeConfig()
    real, fake = [], []
    for clip in clips[:, _middle(clips.shape[1])]:
        crf = int(rng.integers(config.crf[0], config.crf[1] + 1))
        real.append(recompressed(clip, crf))
        for part in ("face", "mouth" if rng.random() < _MOUTH_SHARE else "eyes"):
            fake.append(recompressed(pseudo_fake(clip, part, rng, config), crf))
    return np.stack(real), np.stack(fake)


def write_pseudo_set(prepared, flow, folder, seed=7):
    """Write a prepared set, with flow, of what `pseudo_clips` makes of a set's real videos.

    The k-th real video gives a real entry of number 2 k and a fake one of number 2 k + 1, both of its people.
    What is there already is not computed again.

    Args:
        prepared: a `PreparedSet`.
        flow: a `FlowSource`.
        folder: where to; made if need be.
        seed: of the errors.

    Returns:
        the `PreparedSet`.

    Raises:
        InputError: the folder holds pseudo-fakes of another set or flow.
    """
    folder = Path(folder)
    claim(folder, {"made_of": prepared.clips_sha256(), "flow": flow.sha256, "seed": seed})
    for part in ("clips", "flow"):
        (folder / part).mkdir(exist_ok=True)
    entries = []
    real = [position for position, video in enumerate(prepared.videos) if video.label == 0]
    for order, position in enumerate(real):
        numbers = [2 * order, 2 * order + 1]
        if not all((folder / "flow" / f"{n:05d}.tfrecord").exists() for n in numbers):
            rng = np.random.default_rng((seed, prepared.numbers[position]))
            made = pseudo_clips(prepared.clips(position), rng)
            for number, label, clips in zip(numbers, (0, 1), made, strict=True):
                _write(prepared.entry(position), clips, label, number, flow, folder)
        entries += [_entry(prepared.entry(position), n, n % 2, folder) for n in numbers]
    frames = _middle(prepared.pairs_per_clip + 1)
    pairs = frames.stop - frames.start - 1
    index = {
        "format": INDEX_FORMAT,
        "settings": prepared.index["settings"] | {"pairs_per_clip": pairs},
        "flow": {"source": flow.name, "sha256": flow.sha256},
        "videos": entries,
    }
    write_json(folder / INDEX_NAME, index)
    return PreparedSet.open(folder)


def _write(entry, clips, label, number, flow, folder):
    name = f"{number:05d}.tfrecord"
    each = len(clips) // len(entry["clips"])
    facts = [entry["clips"][k // each] for k in range(len(clips))]
    face_clips = [
        FaceClip(f["track"], f["start_s"], f["end_s"], tuple(f["box"]), False, frames, (f["start_s"],))
        for f, frames in zip(facts, clips, strict=True)
    ]
    write_clips(folder / "clips" / name, face_clips, _facts(entry, label))
    write_flow(folder / "flow" / name, [flow.flow(frames) for frames in clips])


def _facts(entry, label):
    names = ("video", "identities", "compression")
    return {n: entry[n] for n in names} | {"label": label, "method": "pseudo" if label else "recompressed"}


def _entry(entry, number, label, folder):
    shard = folder / "clips" / f"{number:05d}.tfrecord"
    return {
        "number": number,
        **_facts(entry, label),
        "clips": [clip for clip in entry["clips"] for _ in range(1 + label)],
        "dropped": {"short": 0, "background": 0},
        "reason": None,
        "shard": {"file": shard.name, "sha256": file_sha256(shard), "bytes": shard.stat().st_size},
    }


def _middle(count):
    """Return the middle half of a clip: flow is dear, and neighbouring pairs are nearly alike."""
    quarter = (count - 1) // 4
    return slice(quarter, count - quarter)
