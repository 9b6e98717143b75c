"""What the engine makes of the development clips: real faces, real compression, one real change of shot."""

from __future__ import annotations

import csv
import json
from importlib import resources
from itertools import pairwise

import jsonschema
import pytest

import flowtell

SAMPLE = (
    # path, frames, sides of the main face's crop that are plausible for it
    ("celebdf/real/id51_0002_c.mp4", 302, (150, 200)),
    ("celebdf/deepfake/id26_id25_0006_c.mp4", 307, (270, 320)),
    ("ffpp/original_sequences/youtube/c23/videos/634.mp4", 338, (300, 350)),
    ("ffpp_c40/manipulate/FaceSwap/c40/videos/469_481.mp4", 414, (250, 340)),
)
SHOT_CHANGES = "ffpp_c40/manipulate/Face2Face/c40/videos/253_183.mp4"
BYSTANDER = "ffpp_c40/original/youtube/c40/videos/585.mp4"


@pytest.fixture(scope="module")
def clips_folder(dev_data):
    return dev_data / "clips"


def clips_of(path, bundle):
    return list(flowtell.iter_face_clips(path, bundle))


@pytest.mark.parametrize(("path", "frames", "sides"), SAMPLE)
def test_one_face_is_one_track_from_the_first_frame_to_the_last(
    clips_folder, tiny_bundle, path, frames, sides
):
    with (clips_folder / "labels.csv").open(encoding="utf-8") as table:
        row = next(row for row in csv.DictReader(table) if row["path"] == path)
    assert int(row["frames"]) == frames
    clips = clips_of(clips_folder / path, tiny_bundle)
    assert {clip.track for clip in clips} == {0}
    assert clips[0].start_s == 0
    assert all(after.start_s >= before.end_s for before, after in pairwise(clips))
    pairs = sum(len(clip.frames) - 1 for clip in clips)
    assert 0.97 * frames <= pairs <= frames - 1
    assert all(sides[0] <= clip.box[2] <= sides[1] for clip in clips)


def test_changes_of_shot_end_clips_on_their_frame(clips_folder, tiny_bundle):
    """The picture is closer from frame 176 on and another from frame 364 on, at 30 a second."""
    clips = clips_of(clips_folder / SHOT_CHANGES, tiny_bundle)
    spans = [(clip.track, round(clip.start_s * 30), round(clip.end_s * 30)) for clip in clips]
    assert {track for track, _, _ in spans} == {0, 1, 2}
    for change in (176, 364):
        assert not any(first < change <= last for _, first, last in spans)
        assert any(first == change for _, first, _ in spans)


def test_a_bystander_is_tracked_but_in_the_background(clips_folder, tiny_bundle):
    clips = clips_of(clips_folder / BYSTANDER, tiny_bundle)
    main = [clip for clip in clips if clip.box[2] > 300]
    others = [clip for clip in clips if clip.box[2] < 130]
    assert len(main) + len(others) == len(clips)
    assert {clip.track for clip in main} == {0}
    assert len(others) >= 10
    assert not any(clip.is_background for clip in main)
    assert all(clip.is_background for clip in others)


def test_a_few_files_end_to_end_give_valid_results(clips_folder, tiny_bundle):
    text = resources.files("flowtell.schemas").joinpath("result.schema.json").read_text(encoding="utf-8")
    detector = flowtell.Detector.open(tiny_bundle)
    for path in (SAMPLE[0][0], BYSTANDER):
        result = detector.detect(clips_folder / path, max_clips=1)
        jsonschema.validate(json.loads(result.to_json()), json.loads(text))
        assert result.state == "ok"
        assert result.stopped == "budget"
        assert len(result.faces) == 1
        assert result.faces[0].decides
