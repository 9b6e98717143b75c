"""Pairs of the stored face crops with RAFT's flow: some to learn from, some of other people to measure by."""

from pathlib import Path

import numpy as np

from flowtell.training.labels import identity_folds
from flowtell.training.raft_teacher import write_teacher_pairs
from flowtell.training.run_folder import claim

__all__ = [
    "FULL_TEACHER_NAME",
    "JUDGED_TEACHER_NAME",
    "TEACHER_NAME",
    "write_full_teacher",
    "write_teacher_sets",
]

TEACHER_NAME = "teacher/train.npz"
JUDGED_TEACHER_NAME = "teacher/test.npz"
FULL_TEACHER_NAME = "teacher/full.npz"

# Two frames apart, for larger motion.
_SHARE_APART = 0.33


def write_teacher_sets(recipe, prepared, folder, progress=None):
    """Write the teacher's flow on pairs of the stored clips; what is there is not computed again.

    Pairs of the last fold's people go to `test.npz` in the folder `teacher`, all others to `train.npz`. A
    third of the pairs are two frames apart, for larger motion.

    Args:
        recipe: a `Recipe`.
        prepared: the `PreparedSet` of the run.
        folder: of the run.
        progress: from the name and the pairs of each file to what is called with (pairs done, a note) in it.

    Raises:
        ImportError: as `write_teacher_pairs`.
        InputError: the folder holds pairs of other clips, or of other people held out.
    """
    paths = [_claimed(recipe, prepared, folder) / name for name in (JUDGED_TEACHER_NAME, TEACHER_NAME)]
    if not all(path.exists() for path in paths):
        for pairs, path in zip(_drawn_sets(recipe, prepared), paths, strict=True):
            _write_missing(pairs, path, progress)


def write_full_teacher(recipe, prepared, folder, progress=None):
    """Write `test.npz`, and more pairs of all others, `full.npz`.

    All else as `write_teacher_sets`, whose pairs to learn from are not needed beside these.
    """
    folder = _claimed(recipe, prepared, folder)
    judged, full = (folder / name for name in (JUDGED_TEACHER_NAME, FULL_TEACHER_NAME))
    if not judged.exists():
        _write_missing(_drawn_sets(recipe, prepared)[0], judged, progress)
    if full.exists():
        return
    rng = np.random.default_rng(1)
    learned = [stored for stored, test in _videos(recipe, prepared) if not test]
    pairs = [pair for stored in learned for pair in _drawn(stored, recipe.full_teacher_pairs, rng)]
    _write_missing(pairs, full, progress)


def _claimed(recipe, prepared, folder):
    """Return the folder, for pairs of this set alone: who is held out hangs on everybody who is in it."""
    counts = {n: getattr(recipe, n) for n in ("folds", "teacher_pairs", "full_teacher_pairs", "judged_pairs")}
    claim((Path(folder) / TEACHER_NAME).parent, {"prepared_sha256": prepared.sha256(), **counts})
    return Path(folder)


def _drawn_sets(recipe, prepared):
    """Return (pairs to measure by, pairs to learn from); drawn in turn from one generator."""
    rng = np.random.default_rng(0)
    judged, learned = [], []
    for stored, test in _videos(recipe, prepared):
        pairs, count = (judged, recipe.judged_pairs) if test else (learned, recipe.teacher_pairs)
        pairs += _drawn(stored, count, rng)
    return judged, learned


def _write_missing(pairs, path, progress):
    if pairs and not path.exists():
        write_teacher_pairs(np.stack(pairs), path, progress and progress(path.stem, len(pairs)))


def _videos(recipe, prepared):
    """Yield of each video its stored clips and whether its people are held out."""
    for position, fold in enumerate(identity_folds(prepared.videos, recipe.folds)):
        yield prepared.clips(position), fold == recipe.folds - 1


def _drawn(stored, count, rng):
    """Return so many pairs uint8 `[2, S, S, 3]` of a video's clips `[N, T + 1, S, S, 3]`."""
    clips, frames = stored.shape[:2]
    pairs = []
    for _ in range(count):
        clip, first = rng.integers(clips), rng.integers(frames - 1)
        apart = 2 if rng.random() < _SHARE_APART and first < frames - 2 else 1
        pairs.append(np.stack([stored[clip, first], stored[clip, first + apart]]))
    return pairs
