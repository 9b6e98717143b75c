"""Looking at a part: spread evenly, stopped in time, and decided as the whole would be."""

from __future__ import annotations

import itertools
import json
import math
import statistics
from importlib import resources

import jsonschema
import numpy as np
import pytest
from tolerances import TOLERANCES

from flowtell import Detector, Effort, FaceClip, InputError, samples
from flowtell._judging import ClipLogits
from flowtell._pipeline import ClipReader
from flowtell._runs import RunPlan
from flowtell._sequential_test import SequentialTest
from flowtell._verdict import mean_probability, sigmoid

NATURAL = samples.natural_path()


@pytest.fixture(scope="module")
def tiny(tiny_bundle):
    with Detector.open(tiny_bundle) as detector:
        yield detector


@pytest.fixture(scope="module")
def whole(tiny):
    return tiny.detect(NATURAL)


def validate(result):
    text = resources.files("flowtell.schemas").joinpath("result.schema.json").read_text(encoding="utf-8")
    jsonschema.validate(json.loads(result.to_json()), json.loads(text))


def clip(track, start, pairs, *, background=False):
    frames = np.zeros((pairs + 1, 2, 2, 3), np.uint8)
    times = tuple(float(start + index) for index in range(pairs + 1))
    return FaceClip(track, times[0], times[-1], (0, 0, 2, 2), background, frames, times)


def judge_as(logit):
    """Return a judge that gives each run `logit(run)`, and the runs that it was given."""
    asked = []

    def judge(runs):
        for run in runs:
            asked.append(run)
            value = logit(run)
            yield run, ClipLogits(np.full(len(run.frames) - 1, value, np.float32), value, None, 0.0)

    return judge, asked


def plan_of(*clips):
    plan = RunPlan(16)
    for item in clips:
        for run in plan.add(item):
            plan.sample.offer(run, preferred=not run.is_background)
    plan.close()
    return plan


def test_runs_cover_every_pair_once():
    plan = plan_of(*[clip(0, 100 * index, pairs) for index, pairs in enumerate((16, 7, 4, 9))])
    judge, asked = judge_as(lambda _: 0.0)
    list(plan.judge_until_decided(0.5, 0.05, judge))
    assert plan.stopped == "all"
    covered = sorted((run.start_s, run.end_s) for run in asked)
    assert covered == [
        (0, 2), (2, 4), (4, 6), (6, 8), (8, 10), (10, 12), (12, 14), (14, 16),
        (100, 102), (102, 104), (104, 107), (200, 202), (202, 204),
        (300, 302), (302, 304), (304, 306), (306, 309),
    ]  # fmt: skip


def test_runs_of_a_clip_that_say_this_and_that_count_as_the_clip():
    """The clips' probability is 0.45, the mean of their runs' 0.476."""
    plan = plan_of(*[clip(0, 100 * index, 16) for index in range(12)])
    judge, _ = judge_as(lambda run: -2.0 if run.start_s % 4 else 1.6)
    seen = list(plan.judge_until_decided(0.46, 0.05, judge))
    assert statistics.fmean(sigmoid(logits.clip_logit) for _, logits in seen) > 0.47
    assert mean_probability((run.part_of, logits.clip_logit, 2) for run, logits in seen) < 0.46
    assert plan.stopped in ("all", "decided")


@pytest.mark.parametrize(("logit", "verdict"), [(2.0, True), (-2.0, False)])
def test_a_clear_file_is_decided_by_eight_runs_spread_over_it(logit, verdict):
    plan = plan_of(*[clip(0, 16 * index, 16) for index in range(50)])
    judge, asked = judge_as(lambda run: logit + 0.01 * math.sin(run.start_s))
    judged = list(plan.judge_until_decided(0.5, 0.05, judge))
    assert plan.stopped == "decided"
    assert len(judged) == len(asked) == 8
    starts = sorted(run.start_s / 800 for run in asked)
    assert max(after - before for before, after in zip([0, *starts], [*starts, 1], strict=True)) < 0.25
    assert all((sigmoid(value.clip_logit) > 0.5) == verdict for _, value in judged)


def test_one_face_that_is_surely_fake_ends_the_test_and_the_others_are_seen_until_then():
    clips = [clip(track, 16 * index, 16) for index in range(50) for track in (0, 1)]
    plan = plan_of(*clips)
    judge, asked = judge_as(lambda run: 3 + 0.01 * math.sin(run.start_s) if run.track else 0.0)
    list(plan.judge_until_decided(0.5, 0.05, judge))
    assert plan.stopped == "decided"
    assert {run.track for run in asked} == {0, 1}
    assert len(asked) == 16


def test_faces_in_the_background_are_not_looked_at():
    clips = [clip(track, 16 * index, 16, background=track == 1) for index in range(9) for track in (0, 1)]
    plan = plan_of(*clips)
    judge, asked = judge_as(lambda _: 0.0)
    list(plan.judge_until_decided(0.5, 0.05, judge))
    assert plan.deciding == {0}
    assert {run.track for run in asked} == {0}


def test_more_runs_than_are_kept_end_in_a_budget():
    plan = plan_of(*[clip(0, 16 * index, 16) for index in range(100)])
    judge, asked = judge_as(lambda _: 0.0)
    list(plan.judge_until_decided(0.5, 0.05, judge))
    assert plan.stopped == "budget"
    assert len(asked) == 512


def test_a_face_whose_kept_runs_end_where_it_would_be_looked_at_ends_in_a_budget():
    """Of the few runs of face 0 among the many of face 1 as many are kept as one of its looks asks for."""
    short = [clip(0, 16 * index, 16) for index in range(4)]
    long = [clip(1, 1000 + 16 * index, 16) for index in range(70)]
    mixed = [item for pair in zip(short, long, strict=False) for item in pair] + long[4:]
    plan = plan_of(*mixed)
    # face 0 scatters about the threshold and stays open; face 1 is surely original
    turns = itertools.cycle((0.3, -0.3))
    judge, asked = judge_as(lambda run: -3.0 if run.track else next(turns))
    list(plan.judge_until_decided(0.5, 0.05, judge))
    assert plan.stopped == "budget"
    of_the_first = sum(run.track == 0 for run in asked)
    assert of_the_first in SequentialTest(32, 0.5, 0.025).looks[:-1]


@pytest.mark.parametrize(("logit", "stopped"), [(-2.0, "budget"), (2.0, "decided")])
def test_a_face_of_which_too_little_is_kept_leaves_the_others_to_be_judged(logit, stopped):
    """Of the 32 runs of face 0 fewer are kept than its first look asks for; face 1 is open for longer."""
    clips = [clip(1, 16 * index, 16) for index in range(600)]
    clips.insert(300, clip(0, 20_000, 64))
    plan = plan_of(*clips)
    assert 1 <= sum(run.track == 0 for run in plan._runs) < 8
    turns = itertools.cycle((0.9, -0.8))
    judge, asked = judge_as(lambda run: logit * next(turns) + 0.2 * logit if run.track else 0.0)
    list(plan.judge_until_decided(0.5, 0.05, judge))
    assert sum(run.track == 1 for run in asked) > 8
    assert plan.stopped == stopped


@pytest.mark.parametrize(("least", "judged"), [(0, 2), (32, 32), (33, 34), (4000, 96)])
def test_time_that_is_up_at_once_leaves_as_much_as_a_verdict_needs(least, judged):
    plan = plan_of(*[clip(0, 16 * index, 16) for index in range(6)])
    judge, _ = judge_as(lambda _: 0.0)
    seen = [logits.pair_logits for _, logits in plan.judge_for(1e-9, least, judge)]
    assert sum(len(pairs) for pairs in seen) == judged
    assert plan.stopped == ("all" if judged == 96 else "budget")


def test_an_anytime_result_is_a_part_of_the_whole(tiny, whole):
    result = tiny.detect(NATURAL, effort=Effort(error_rate=0.05))
    validate(result)
    assert (result.state, result.verdict) == (whole.state, whole.verdict)
    assert result.pairs_total == whole.pairs_total
    assert 16 <= result.pairs_judged <= 96
    assert result.stopped == ("all" if result.pairs_judged == 96 else "decided")
    logits = {
        item.start_s + index * 0.04: logit
        for item in whole.faces[0].clips
        for index, logit in enumerate(item.pair_logits)
    }
    close = TOLERANCES["time_s"].value
    for run in result.faces[0].clips:
        for index, logit in enumerate(run.pair_logits):
            time_s = run.start_s + index * 0.04
            assert logit in [value for at, value in logits.items() if abs(at - time_s) < close]
    assert [run.start_s for run in result.faces[0].clips] == sorted(r.start_s for r in result.faces[0].clips)
    again = tiny.detect(NATURAL, effort=Effort(error_rate=0.05))
    assert (again.faces, again.stopped) == (result.faces, result.stopped)


def test_a_budget_of_seconds_looks_at_one_run_at_least_and_stops(tiny):
    short = tiny.detect(NATURAL, effort=Effort(compute_s=1e-9))
    validate(short)
    assert short.stopped == "budget"
    assert short.pairs_judged == 2
    long = tiny.detect(NATURAL, effort=Effort(compute_s=1e6))
    assert long.stopped == "all"
    assert long.pairs_judged == long.pairs_total == 96
    # the graph's own mean of a clip's logits is of float32
    close = TOLERANCES["face_score"].value
    assert long.fake_probability == pytest.approx(tiny.detect(NATURAL).fake_probability, abs=close)


@pytest.mark.parametrize(("rate", "clips"), [(30, 2), (1e-3, 1), (1e6, 6), (1e308, 6)])
def test_clips_a_minute(tiny, whole, rate, clips):
    """The sample lasts 3.84 s from its first frame to its last: 1.92 clips at 30 a minute."""
    result = tiny.detect(NATURAL, effort=Effort(clips_per_minute=rate))
    assert len(result.faces[0].clips) == clips
    assert result.stopped == ("all" if clips == 6 else "budget")
    assert set(result.faces[0].clips) <= set(whole.faces[0].clips)


def test_a_file_without_a_face_is_no_matter(tiny, write_video):
    grey = write_video("grey.mp4", [np.full((96, 128, 3), 90 + shift, np.uint8) for shift in range(8)])
    for effort in (Effort(error_rate=0.05), Effort(compute_s=1), Effort(clips_per_minute=1)):
        result = tiny.detect(grey, effort=effort)
        validate(result)
        assert (result.state, result.verdict, result.stopped) == ("no_face", "undecided", "all")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"max_clips": 0}, "the number of clips must be an integer"),
        ({"clips_per_minute": 0}, "clips_per_minute must be a number above 0"),
        ({"compute_s": math.nan}, "compute_s must be a number above 0"),
        ({"compute_s": "1"}, "compute_s must be a number above 0"),
        ({"error_rate": 0.0}, "error_rate must be a number from 1e-06 to 0.5"),
        ({"error_rate": True}, "error_rate must be a number from 1e-06 to 0.5"),
        ({"max_clips": 1, "compute_s": 1}, "exclude each other"),
    ],
)
def test_other_efforts_are_refused(wrong, says):
    with pytest.raises(InputError, match=says):
        Effort(**wrong)


def test_two_ways_to_say_how_much_are_refused(tiny):
    with pytest.raises(InputError, match="exclude each other"):
        tiny.detect(NATURAL, max_clips=1, effort=Effort(compute_s=1))


@pytest.fixture
def judged_early(tiny_bundle, monkeypatch):
    """Return `judged_early(**effort)`: the result, and how far the video was read at each submission."""

    def detect(**effort):
        with Detector.open(tiny_bundle, threads=2) as detector:
            read_s, begun_at_s = [0.0], []
            submit = detector._pool.submit

            def noted(frames, control, **options):
                begun_at_s.append(read_s[0])
                return submit(frames, control, **options)

            monkeypatch.setattr(detector._pool, "submit", noted)
            note = lambda progress: read_s.__setitem__(0, progress.time_s)  # noqa: E731
            return detector.detect(NATURAL, **effort, progress=note), begun_at_s

    return detect


def test_a_sample_is_judged_while_the_file_is_read(judged_early, whole):
    result, begun_at_s = judged_early(max_clips=2)
    clips = whole.faces[0].clips
    assert begun_at_s[0] < clips[1].end_s < clips[-1].end_s
    # one guess may have been wrong
    assert 2 <= len(begun_at_s) <= 3
    assert result.faces[0].clips == (clips[0], clips[5])
    assert result.stopped == "budget"


def test_runs_that_a_test_asks_for_first_are_judged_while_the_file_is_read(
    judged_early, tiny, whole, monkeypatch
):
    effort = Effort(error_rate=0.05)
    result, begun_at_s = judged_early(effort=effort)
    end_s = whole.faces[0].clips[-1].end_s
    assert 8 <= sum(time_s < end_s for time_s in begun_at_s) <= 24
    # none where the time that they take is what is limited
    _, begun_at_s = judged_early(effort=Effort(compute_s=1e-9))
    assert min(begun_at_s) >= end_s
    # nor where a file does not say how long it is; and it says the same
    monkeypatch.setattr(ClipReader, "share_until", lambda *_: None)
    late, begun_at_s = judged_early(effort=effort)
    assert min(begun_at_s) >= end_s
    assert (late.faces, late.stopped) == (result.faces, result.stopped)


@pytest.mark.parametrize("effort", [Effort(error_rate=0.05), Effort(max_clips=2)])
def test_what_was_begun_ends_with_a_run_that_ends_early(tiny_bundle, effort):
    with Detector.open(tiny_bundle, threads=2) as detector:
        wanted = detector.detect(NATURAL, effort=effort)

        def stop(progress):
            if progress.time_s > 3:
                raise RuntimeError("enough")

        with pytest.raises(RuntimeError, match="enough"):
            detector.detect(NATURAL, effort=effort, progress=stop)
        assert not detector._pool._waiting
        late = detector.detect(NATURAL, effort=effort, timeout_s=1e-6)
        assert (late.state, late.verdict, late.faces) == ("timed_out", "undecided", ())
        assert not detector._pool._waiting
        assert detector.detect(NATURAL, effort=effort).faces == wanted.faces
