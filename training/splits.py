"""Who is trained on, who is validated on and who is tested on: by people, with a manifest."""

import hashlib
import json

import numpy as np

from flowtell import InputError
from flowtell.training.labels import identity_folds, identity_groups

__all__ = [
    "PARTS",
    "interleaved",
    "kfold_split",
    "split_hashes",
    "split_manifest",
    "split_videos",
    "video_keys",
]

PARTS = ("train", "validation", "test")
_SHARES = {"validation": 0.1, "test": 0.1}


def split_videos(videos, by="identity", seed=0):
    """Split videos 80/10/10.

    By identity, groups of people who share a video stay together; the smallest groups that bring both classes
    and a tenth of the videos go to test and validation, so both may hold more than a tenth of a small set. By
    video, the classes alternate and the list is cut, as the original does; one person's videos may then
    stand in several parts, and figures on them are too good.

    Args:
        videos: list of `LabelledVideo`.
        by: `identity` or `video`.
        seed: of the order.

    Returns:
        dict of `train`, `validation` and `test` to lists of positions in `videos`.

    Raises:
        InputError: there are not enough people (or videos) for both classes in each part.
    """
    if by == "identity":
        parts = _by_identity(videos, seed)
    elif by == "video":
        order = interleaved(videos, range(len(videos)), seed)
        first, second = (round(share * len(order)) for share in (0.8, 0.9))
        parts = {"train": order[:first], "validation": order[first:second], "test": order[second:]}
    else:
        raise InputError(f"videos are split by identity or by video, not by {by!r}")
    return _checked(videos, parts, seed, by)


def kfold_split(videos, fold, count, seed=0):
    """Split by identity into `count` folds: fold `fold` is the test, the next one the validation.

    Args:
        videos: list of `LabelledVideo`.
        fold: 0 to count - 1.
        count: number of folds, at least 3.
        seed: of the order.

    Raises:
        InputError: as `split_videos`.
    """
    if count < 3 or not 0 <= fold < count:
        raise InputError(f"a fold is 1 to K of at least 3, not {fold + 1} of {count}")
    folds = np.asarray(identity_folds(videos, count))
    test, validation = folds == fold, folds == (fold + 1) % count
    parts = {
        "train": np.flatnonzero(~test & ~validation),
        "validation": np.flatnonzero(validation),
        "test": np.flatnonzero(test),
    }
    return _checked(videos, parts, seed)


def interleaved(videos, positions, seed):
    """Return positions shuffled within each class and then taken from both classes in turn."""
    rng = np.random.default_rng(seed)
    classes = [[p for p in positions if videos[p].label == label] for label in (0, 1)]
    order = []
    for members in classes:
        # A member's place is the share of its class that stands before it.
        shuffled = rng.permutation(members).tolist()
        order += [((k + 0.5) / len(shuffled), videos[p].label, p) for k, p in enumerate(shuffled)]
    return [p for _, _, p in sorted(order)]


def split_manifest(prepared, parts, how):
    """Return a split as JSON can hold it: each part's videos with their people and the hash of their shard.

    Args:
        prepared: the `PreparedSet` that the positions are of.
        parts: from `split_videos` or `kfold_split`.
        how: dict that says how it was made.
    """
    return {
        "prepared_sha256": prepared.sha256(),
        "how": how,
        "parts": {name: [_entry(prepared.entry(p)) for p in parts[name]] for name in PARTS},
    }


def split_hashes(manifest):
    """Return which split it is of which set: a dict of SHA-256, in hex, of both.

    That of the split, `sha256`, is of what its manifest says, however the file is laid out.
    """
    own = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    return {"prepared_sha256": manifest["prepared_sha256"], "sha256": own}


def video_keys(prepared, positions):
    """Return the first 16 hex digits of each video's SHA-256, sorted: any prepared set knows it by them."""
    return sorted(prepared.entry(position)["video_sha256"][:16] for position in positions)


def _entry(entry):
    kept = {name: entry[name] for name in ("number", "video", "label", "identities")}
    return kept | {"shard_sha256": entry["shard"]["sha256"]}


def _by_identity(videos, seed):
    groups = np.asarray(identity_groups(videos))
    members = {int(g): np.flatnonzero(groups == g).tolist() for g in np.unique(groups)}
    # Of equally large groups the seed chooses.
    shuffled = np.random.default_rng(seed).permutation(sorted(members)).tolist()
    waiting = sorted(shuffled, key=lambda g: len(members[g]))
    parts = {}
    for part in ("test", "validation"):
        taken, missing = [], {0, 1}
        while waiting and (len(taken) < _SHARES[part] * len(videos) or missing):
            useful = [g for g in waiting if missing & {videos[p].label for p in members[g]}]
            group = (useful or waiting)[0]
            waiting.remove(group)
            taken += members[group]
            missing -= {videos[p].label for p in members[group]}
        parts[part] = taken
    parts["train"] = [p for g in waiting for p in members[g]]
    return parts


def _checked(videos, parts, seed, by="identity"):
    for name in PARTS:
        if {videos[p].label for p in parts[name]} != {0, 1}:
            what = f"the part {name} would not hold both real and fake videos"
            if by == "video":
                raise InputError(f"{what}: there are too few of them; add some")
            raise InputError(
                f"{what}: there are too few people who share no video; add some, or split by video and do "
                "not trust the figures"
            )
    return {name: interleaved(videos, [int(p) for p in parts[name]], seed) for name in PARTS}
