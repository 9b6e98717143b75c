"""Splits: nobody in two parts, both classes in each, the classes in turn, a manifest that names it all."""

from collections import Counter
from pathlib import Path

import pytest

from flowtell import InputError
from flowtell.training.labels import LabelledVideo
from flowtell.training.splits import PARTS, interleaved, kfold_split, split_manifest, split_videos


def people(count):
    """`count` people, each with two originals and a fake."""
    return [
        LabelledVideo(Path(f"{n}-{k}.mp4"), int(k == 2), frozenset([f"p{n}"]), "x")
        for n in range(count)
        for k in range(3)
    ]


@pytest.mark.parametrize("seed", [0, 1])
def test_no_person_is_in_two_parts_and_the_parts_are_80_10_10(seed):
    videos = people(20)
    parts = split_videos(videos, seed=seed)
    assert [len(parts[name]) for name in PARTS] == [48, 6, 6]
    owners = Counter(who for name in PARTS for who in {min(videos[p].identities) for p in parts[name]})
    assert set(owners.values()) == {1}
    assert sorted(p for name in PARTS for p in parts[name]) == list(range(60))


def test_the_seed_chooses():
    assert split_videos(people(20), seed=0) != split_videos(people(20), seed=1)
    assert split_videos(people(20), seed=0) == split_videos(people(20), seed=0)


def test_by_video_the_last_file_is_not_lost():
    videos = people(20)
    parts = split_videos(videos, by="video")
    assert [len(parts[name]) for name in PARTS] == [48, 6, 6]
    assert sorted(p for name in PARTS for p in parts[name]) == list(range(60))


def test_classes_alternate():
    videos = people(4)
    labels = [videos[p].label for p in interleaved(videos, range(12), 0)]
    # Two originals to each fake, all the way.
    assert [sum(labels[k : k + 3]) for k in (0, 3, 6, 9)] == [1, 1, 1, 1]


def test_too_few_people_is_one_sentence():
    with pytest.raises(InputError, match="too few people who share no video"):
        split_videos(people(2))
    with pytest.raises(InputError, match="by identity or by video, not by 'frame'"):
        split_videos(people(4), by="frame")


def test_every_fold_is_the_test_once():
    videos = people(9)
    tests = [kfold_split(videos, fold, 3)["test"] for fold in range(3)]
    assert sorted(p for part in tests for p in part) == list(range(27))
    with pytest.raises(InputError, match="1 to K of at least 3, not 1 of 2"):
        kfold_split(videos, 0, 2)


def test_the_manifest_names_shards_by_their_hash(made_set):
    parts = split_videos(made_set.prepared.videos)
    manifest = split_manifest(made_set.prepared, parts, {"by": "identity", "seed": 0})
    assert manifest["prepared_sha256"] == made_set.prepared.sha256()
    entries = [e for name in PARTS for e in manifest["parts"][name]]
    assert len(entries) == 12
    assert all(len(e["shard_sha256"]) == 64 for e in entries)
