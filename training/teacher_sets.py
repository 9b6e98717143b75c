"""Pairs of the stored face crops with RAFT's flow: some to learn from, some of other people to measure by."""

from pathlib import Path

import numpy as np

from flowtell.training.labels import identity_folds
from flowtell.training.raft_teacher import write_teacher_pairs

__all__ = [
    "FULL_TEACHER_NAME",
    "JUDGED_TEACHER_NAME",
    "TEACHER_NAME",
    "write_full_teacher",
    "write_teacher_sets",
]

TEACHER_NAME = "teacher-train.npz"
JUDGED_TEACHER_NAME = "teacher-test.npz"
FULL_TEACHER_NAME = "teacher-full.npz"

# Two frames apart, for larger motion.
_SHARE_APART = 0.33


def write_teacher_sets(recipe, prepared, folder):
    """Write the teacher's flow on pairs of the stored clips; what is there is not computed again.

    Pairs of the last fold's people go to `teacher-test.npz`, all others to `teacher-train.npz`. A third of
    the pairs are two frames apart, for larger motion.

    Args:
        recipe: a `Recipe`.
        prepared: the `PreparedSet` of the run.
        folder: of the run.

    Raises:
        ImportError: as `write_teacher_pairs`.
    """
    folder = Path(folder)
    if all((folder / name).exists() for name in (TEACHER_NAME, JUDGED_TEACHER_NAME)):
        return
    rng = np.random.default_rng(0)
    pairs = {True: [], False: []}
    for stored, test in _videos(recipe, prepared):
        pairs[test] += _drawn(stored, recipe.judged_pairs if test else recipe.teacher_pairs, rng)
    for test, name in ((True, JUDGED_TEACHER_NAME), (False, TEACHER_NAME)):
        if pairs[test]:
            write_teacher_pairs(np.stack(pairs[test]), folder / name)


def write_full_teacher(recipe, prepared, folder):
    """Write more pairs of those who are learned from, `teacher-full.npz`; else as `write_teacher_sets`."""
    path = Path(folder) / FULL_TEACHER_NAME
    if path.exists():
        return
    rng = np.random.default_rng(1)
    learned = [stored for stored, test in _videos(recipe, prepared) if not test]
    pairs = [pair for stored in learned for pair in _drawn(stored, recipe.full_teacher_pairs, rng)]
    write_teacher_pairs(np.stack(pairs), path)


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
