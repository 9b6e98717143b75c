"""The figures of an evaluation, against what can be worked out by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flowtell import ClipResult, InputError
from flowtell._verdict import JudgedClip, faces_from_clips, file_probability, sigmoid
from flowtell.training.evaluation import JudgedVideo, detector_report, judge_set, operating_points
from flowtell.training.labels import LabelledVideo
from flowtell.training.metrics import rate_upper_bound, reliability, roc_curve, threshold_at_rate


def judged(logits, label, person, method="x", compression="c23", tracks=None):
    video = LabelledVideo(Path(f"{person}{label}.mp4"), label, frozenset([person]), method, compression)
    clips = np.asarray(logits, np.float32)
    of_face = np.zeros(len(clips), int) if tracks is None else np.asarray(tracks)
    return JudgedVideo(video, clips, np.repeat(clips[:, None], 4, axis=1), of_face)


@pytest.fixture
def judgements():
    fakes = [judged([2.0, 2.0], 1, f"f{k}", "swap") for k in range(5)] + [
        judged([-1.0], 1, "g", "puppet", "c40")
    ]
    return fakes + [judged([-2.0, -1.0], 0, f"r{k}") for k in range(4)] + [judged([1.0], 0, "s", "y", "c40")]


def test_figures_of_each_level(judgements):
    report = detector_report(judgements, draws=50)
    assert [report[k]["count"] for k in ("pair", "clip", "file")] == [80, 20, 11]
    # 5 of 6 fakes above all 5 originals; the last, at -1, above the 4 whose mean is lower.
    assert report["file"]["auc"]["value"] == pytest.approx((25 + 4) / 30)
    assert report["file"]["accuracy"]["value"] == pytest.approx(9 / 11)
    low, high = report["file"]["auc"]["interval"]
    assert low <= report["file"]["auc"]["value"] <= high
    assert report["by_method"] == {
        "puppet": {"files": 6, "auc": pytest.approx(0.8)},
        "swap": {"files": 10, "auc": 1.0},
    }
    assert report["by_compression"]["c40"] == {"files": 2, "auc": 0.0}
    assert report["confusion"] == {
        "real called original": 4,
        "real called fake": 1,
        "fake called original": 1,
        "fake called fake": 5,
    }
    assert len(report["files"]) == 11


def test_a_file_scores_as_the_engine_scores_it(judgements):
    # the second face is fake, and half as often in view
    logits, tracks = [-3.0, 2.0, -2.0, -3.0, 4.0, -2.5], [0, 1, 0, 0, 1, 0]
    two_faces = judged(logits, 1, "two", "swap", tracks=tracks)
    report = detector_report([*judgements, two_faces], draws=2)
    score = report["files"][-1]["fake_probability"]
    assert score == pytest.approx((sigmoid(2.0) + sigmoid(4.0)) / 2)
    clips = [
        JudgedClip(track, False, ClipResult(k, k + 0.2, (0, 0, 64, 64), logit, (logit,) * 4), 0.0)
        for k, (track, logit) in enumerate(zip(tracks, logits, strict=True))
    ]
    assert score == pytest.approx(file_probability(faces_from_clips(clips, 4)))
    assert report["confusion"]["fake called fake"] == 6


def test_operating_points_are_those_of_the_faces_that_decide():
    fakes = [judged([9.0, -9.0, -9.0], 1, f"f{k}", tracks=[1, 0, 0]) for k in range(4)]
    _, points = operating_points([*fakes, *(judged([0.0, -1.0], 0, f"r{k}") for k in range(4))])
    assert points[0]["operating_point"].endswith("4 of 4 fakes")


@pytest.mark.parametrize("logit", [0.5, 2.5, 40.0])
def test_originals_of_classes_that_lie_apart_do_not_read_fake_once_deployed(logit):
    originals = [judged(6 * [-logit], 0, f"r{k}") for k in range(3)]
    temperature, points = operating_points([*originals, *(judged(6 * [logit], 1, f"f{k}") for k in range(3))])
    for share in (0.5, 0.9, 1.0, 1.1):
        assert sigmoid(-share * logit / temperature) <= points[0]["fake_probability"]
        assert sigmoid(share * logit / temperature) > points[0]["fake_probability"]


def test_the_index_says_which_face_a_clip_is_of(made_set):
    prepared = made_set.prepared
    entry = prepared.index["videos"][3]
    moved = entry | {"clips": [clip | {"track": 5 + k} for k, clip in enumerate(entry["clips"])]}
    videos = [moved if number == 3 else video for number, video in enumerate(prepared.index["videos"])]
    two_faces = replace(prepared, index=prepared.index | {"videos": videos})
    (found,) = judge_set(two_faces, [3], lambda clips: (np.zeros(len(clips)), np.zeros((len(clips), 4))))
    assert found.tracks.tolist() == [5, 6]


def test_one_class_is_one_sentence(judgements):
    with pytest.raises(InputError, match="both real and fake"):
        detector_report(judgements[:6])


def test_what_the_sample_cannot_support_is_said(judgements):
    _, points = operating_points(judgements)
    assert [p["operating_point"].split(":")[0] for p in points] == [
        "equal error rate",
        "false-positive rate 10 %",
        "false-positive rate 1 %",
        "false-positive rate 0.1 %",
    ]
    # 0 of 5: 1 - 0.05 ** (1 / 5) = 45 %; for 1 %, ln 0.05 / ln 0.99 = 299 originals.
    assert "0 of 5 originals above it (95 % sure of at most 45 %)" in points[2]["operating_point"]
    assert (
        "not supported: 5 originals without an error show a rate below 45 %, 299 would be needed"
        in points[2]["operating_point"]
    )
    assert all(0 <= p["fake_probability"] <= 1 for p in points)


def test_a_manifest_gets_the_temperature_that_the_model_should_divide_by(judgements):
    """Of a model that divides by 2 that is what its undivided logits ask for, thresholds and all."""
    twice = [replace(j, clip_logits=2 * j.clip_logits, pair_logits=2 * j.pair_logits) for j in judgements]
    wanted = detector_report(twice, draws=2)["manifest"]
    found = detector_report(judgements, draws=2, temperature=2.0)["manifest"]
    assert found["temperature"] == pytest.approx(wanted["temperature"])
    for point, same in zip(found["thresholds"], wanted["thresholds"], strict=True):
        assert point["operating_point"] == same["operating_point"]
        assert point["fake_probability"] == pytest.approx(same["fake_probability"])


def test_a_large_sample_supports_its_rates():
    rng = np.random.default_rng(0)
    many = [judged([rng.normal(2 * label, 1)], label, f"{label}-{k}") for label in (0, 1) for k in range(400)]
    _, points = operating_points(many)
    assert ["not supported" in p["operating_point"] for p in points] == [False, False, False, True]
    scores = np.array([1 / (1 + np.exp(-j.clip_logits[0] / operating_points(many)[0])) for j in many])
    labels = np.array([j.video.label for j in many])
    for point, rate in zip(points[1:], (0.1, 0.01, 0.001), strict=True):
        assert np.mean(scores[labels == 0] > point["fake_probability"]) <= rate


def test_bounds_are_clopper_and_pearsons():
    assert rate_upper_bound(0, 100) == pytest.approx(1 - 0.05 ** (1 / 100))
    # Tabulated: 5 events in 20 trials, one-sided 95 %.
    assert rate_upper_bound(5, 20) == pytest.approx(0.4556, abs=1e-4)
    assert rate_upper_bound(3, 3) == 1.0


def test_roc_curve_starts_at_none_and_ends_at_all():
    thresholds, alarms, hits = roc_curve([0.1, 0.4, 0.4, 0.9], [0, 0, 1, 1])
    assert thresholds.tolist() == [0.9, 0.4, 0.1, -np.inf]
    assert alarms.tolist() == [0, 0, 0.5, 1]
    assert hits.tolist() == [0, 0.5, 1, 1]


def test_threshold_lets_at_most_the_rate_pass():
    scores = np.arange(10) / 10
    assert threshold_at_rate(scores, 0.2) == 0.7
    assert threshold_at_rate(scores, 0.01) == 0.9


def test_reliability_counts_by_tenths():
    assert reliability([0.05, 0.01, 0.95], [0, 1, 1]) == [
        {"count": 2, "probability": pytest.approx(0.03), "frequency": 0.5},
        {"count": 1, "probability": 0.95, "frequency": 1.0},
    ]
