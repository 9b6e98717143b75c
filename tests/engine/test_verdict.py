"""From logits to a verdict: means, the highest face, which faces decide, and the state of a file."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from importlib import resources
from types import SimpleNamespace

import jsonschema
import pytest
from tolerances import TOLERANCES

from flowtell import BundleIdentity, ClipResult, DecodeError, Result, TimingMs
from flowtell._verdict import (
    JudgedClip,
    faces_from_clips,
    file_probability,
    file_state,
    sigmoid,
    verdict_of,
)


def judged(track, logit, *, pairs=16, background=False, start_s=0.0):
    clip = ClipResult(start_s, start_s + pairs / 25, (0, 0, 100, 100), logit, (logit,) * pairs)
    return JudgedClip(track, background, clip, 0.1)


def test_sigmoid_at_both_ends_and_in_between():
    assert sigmoid(0) == 0.5
    assert sigmoid(math.log(3)) == pytest.approx(0.75, abs=TOLERANCES["probability"].value)
    assert sigmoid(-math.log(3)) == pytest.approx(0.25, abs=TOLERANCES["probability"].value)
    assert sigmoid(1e4) == 1
    assert sigmoid(-1e4) == 0


def test_a_face_is_the_mean_of_its_clips_probabilities_not_of_its_logits():
    (face,) = faces_from_clips([judged(0, math.log(9)), judged(0, -math.log(4))], 16)
    wanted = (0.9 + 0.2) / 2
    assert face.fake_probability == pytest.approx(wanted, abs=TOLERANCES["mean_of_probabilities"].value)
    assert len(face.clips) == 2


def test_parts_of_a_clip_count_as_the_clip():
    runs = [
        replace(judged(0, logit, pairs=pairs), part_of=number)
        for logit, pairs, number in [(2.0, 2, 4), (-1.0, 3, 4), (0.5, 2, 9)]
    ]
    (face,) = faces_from_clips(runs, 16)
    wanted = (sigmoid((2 * 2.0 - 3 * 1.0) / 5) + sigmoid(0.5)) / 2
    assert face.fake_probability == pytest.approx(wanted, abs=TOLERANCES["mean_of_probabilities"].value)


def test_a_file_is_the_highest_of_its_faces():
    faces = faces_from_clips([judged(1, math.log(9)), judged(0, 0), judged(1, math.log(9))], 16)
    assert [face.track for face in faces] == [0, 1]
    assert file_probability(faces) == pytest.approx(0.9, abs=TOLERANCES["mean_of_probabilities"].value)
    assert file_probability([]) is None


def test_a_face_in_the_background_does_not_decide():
    faces = faces_from_clips([judged(0, -3), judged(1, 3, background=True)], 16)
    assert [face.decides for face in faces] == [True, False]
    assert file_probability(faces) == sigmoid(-3)


def test_a_face_that_was_close_for_half_of_its_clips_decides():
    clips = [judged(0, -3), judged(1, 3, background=True), judged(1, 3)]
    assert all(face.decides for face in faces_from_clips(clips, 16))


def test_a_glimpse_does_not_decide_beside_a_face_that_stays():
    faces = faces_from_clips([judged(0, -3), judged(1, 3, pairs=15)], 16)
    assert [face.decides for face in faces] == [True, False]
    faces = faces_from_clips([judged(0, -3), judged(1, 3, pairs=8), judged(1, 3, pairs=8)], 16)
    assert [face.decides for face in faces] == [True, True]


def test_glimpses_and_the_background_decide_where_there_is_nothing_better():
    faces = faces_from_clips([judged(0, -3, pairs=5), judged(1, 3, background=True)], 16)
    assert [face.decides for face in faces] == [True, False]
    faces = faces_from_clips([judged(1, 3, background=True)], 16)
    assert [face.decides for face in faces] == [True]


def test_the_threshold_itself_reads_original():
    assert verdict_of(0.5, 0.5) == "original"
    assert verdict_of(math.nextafter(0.5, 1), 0.5) == "fake"
    assert verdict_of(0.6, 0.7) == "original"
    assert verdict_of(None, 0.5) == "undecided"


def seen(frames=100, found=0, small=0):
    return SimpleNamespace(frames=frames, found_faces=found, small_faces=small)


@pytest.mark.parametrize(
    ("failure", "maker", "any_judged", "state"),
    [
        (None, seen(found=9), True, "ok"),
        (None, seen(), False, "no_face"),
        (None, seen(small=2), False, "face_too_small"),
        (None, seen(found=1, small=2), False, "too_short"),
        (None, seen(frames=4), False, "too_short"),
        (DecodeError("undecodable", "why"), seen(frames=0), False, "undecodable"),
        (DecodeError("too_large", "why"), seen(frames=0), False, "too_large"),
        (DecodeError("truncated", "why"), seen(found=3), False, "truncated"),
        (DecodeError("truncated", "why"), seen(found=9), True, "truncated"),
        (DecodeError("too_large", "why"), seen(found=9), True, "truncated"),
        (DecodeError("timed_out", "why"), seen(found=0), False, "timed_out"),
        (DecodeError("timed_out", "why"), seen(found=9), True, "timed_out"),
    ],
)
def test_states(failure, maker, any_judged, state):
    got, reason = file_state(failure, maker, any_judged)
    assert got == state
    assert (reason is None) == (state == "ok")
    if failure:
        assert reason == "why"


@pytest.fixture(scope="module")
def schema():
    text = resources.files("flowtell.schemas").joinpath("result.schema.json").read_text(encoding="utf-8")
    document = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


def result(**changes):
    faces = faces_from_clips([judged(0, 2.0)], 16)
    values = {
        "schema": 1,
        "file": "a.mp4",
        "state": "ok",
        "reason": None,
        "verdict": "fake",
        "fake_probability": file_probability(faces),
        "pairs_judged": 16,
        "pairs_total": 20,
        "stopped": "all",
        "faces": faces,
        "bundle": BundleIdentity("b", "0" * 64, "free"),
        "provider": "CPUExecutionProvider",
        "precision": "fp32",
        "timing_ms": TimingMs(1.0, 2.0, 3.0, 4.0, 10.0),
    }
    return Result(**(values | changes))


def test_json_is_one_line_that_the_schema_accepts(schema):
    text = result(file='odd "name"\n\udcff.mp4').to_json()
    assert "\n" not in text
    document = json.loads(text)
    schema.validate(document)
    assert document["faces"][0]["clips"][0]["box"] == [0, 0, 100, 100]


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "fine"},
        {"verdict": "maybe"},
        {"fake_probability": 1.5},
        {"fake_probability": None},
        {"verdict": "undecided"},
        {"verdict": "undecided", "fake_probability": None},
        {"state": "no_face"},
        {"pairs_judged": -1},
        {"stopped": "never"},
        {"precision": "fp8"},
    ],
)
def test_the_schema_refuses_what_a_result_may_not_say(schema, changes):
    assert not schema.is_valid(json.loads(result(**changes).to_json()))


def test_judged_or_not():
    assert result().is_judged
    assert result(state="truncated", reason="cut").is_judged
    assert not result(state="no_face", verdict="undecided", fake_probability=None).is_judged
    assert result(state="thin_evidence", verdict="undecided", fake_probability=None).is_judged


def test_a_number_that_is_none_never_becomes_json():
    with pytest.raises(ValueError, match="not JSON compliant"):
        result(fake_probability=math.nan).to_json()
