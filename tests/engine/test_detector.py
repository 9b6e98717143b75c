"""The detector on real files: with logits that can be worked out by hand, and with real networks."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from importlib import resources
from pathlib import Path

import jsonschema
import numpy as np
import onnx
import pytest
from onnx import helper
from processes import children_of
from tolerances import TOLERANCES

import flowtell
from flowtell import BundleError, Detector, InputError, ProviderError, samples
from flowtell._verdict import sigmoid


@pytest.fixture(scope="module")
def tiny(tiny_bundle):
    return Detector.open(tiny_bundle)


def without_times(result):
    document = result.to_dict()
    del document["timing_ms"]
    return document


def validate(result):
    text = resources.files("flowtell.schemas").joinpath("result.schema.json").read_text(encoding="utf-8")
    jsonschema.validate(json.loads(result.to_json()), json.loads(text))


def test_the_sample_is_judged_by_what_moves_in_its_crops(motion, motion_bundle, sample_result, motion_logit):
    validate(sample_result)
    assert sample_result.state == "ok"
    assert sample_result.reason is None
    assert sample_result.stopped == "all"
    assert sample_result.pairs_judged == sample_result.pairs_total == 96
    (face,) = sample_result.faces
    clips = list(flowtell.iter_face_clips(samples.natural_path(), motion_bundle))
    assert len(clips) == len(face.clips) == 6
    close = TOLERANCES["motion_logit"].value
    for clip, judged in zip(clips, face.clips, strict=True):
        assert (clip.start_s, clip.end_s, clip.box) == (judged.start_s, judged.end_s, judged.box)
        wanted = [motion_logit(a, b) for a, b in zip(clip.frames[:-1], clip.frames[1:], strict=True)]
        assert judged.pair_logits == pytest.approx(wanted, abs=close)
        assert judged.logit == pytest.approx(np.mean(wanted), abs=close)
    mean = np.mean([sigmoid(clip.logit) for clip in face.clips])
    assert sample_result.fake_probability == face.fake_probability
    assert face.fake_probability == pytest.approx(mean, abs=TOLERANCES["mean_of_probabilities"].value)
    assert sample_result.verdict == ("fake" if mean > 0.5 else "original")
    assert sample_result.provider == "CPUExecutionProvider"
    assert sample_result.bundle.sha256 == motion.bundle.sha256


def test_the_manifests_threshold_decides_the_verdict(bundle_copy, rewrite_manifest, sample_result):
    for threshold in (0.0, 1.0, sample_result.fake_probability):
        rewrite_manifest(bundle_copy, lambda m, t=threshold: m["thresholds"][0].update(fake_probability=t))
        result = Detector.open(bundle_copy).detect(samples.natural_path(), max_clips=None)
        assert result.verdict == ("fake" if threshold == 0.0 else "original")


def test_times_are_measured(sample_result):
    times = sample_result.timing_ms
    assert min(times.decode, times.faces, times.crop, times.detector) > 0
    # decoding has a thread of its own, the two others share one
    assert times.total >= max(times.decode, times.faces + times.crop)


@pytest.mark.parametrize("threads", [1, 3])
def test_results_do_not_depend_on_threads(motion_bundle, sample_result, threads):
    detector = Detector.open(motion_bundle, threads=threads)
    assert detector.threads == threads
    assert without_times(detector.detect(samples.natural_path())) == without_times(sample_result)


def test_many_callers_at_once_get_what_one_gets(tiny):
    wanted = without_times(tiny.detect(samples.swapped_path()))
    got = []
    callers = [
        threading.Thread(target=lambda: got.append(without_times(tiny.detect(samples.swapped_path()))))
        for _ in range(4)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert got == [wanted] * 4


def test_a_budget_is_kept_and_its_clips_are_those_of_the_whole(motion, sample_result):
    whole = {clip.start_s: clip for clip in sample_result.faces[0].clips}
    for budget in (1, 3, 6, 7):
        result = motion.detect(samples.natural_path(), max_clips=budget)
        validate(result)
        clips = result.faces[0].clips
        assert len(clips) == min(budget, 6)
        assert result.stopped == ("budget" if budget < 6 else "all")
        assert result.pairs_total == 96
        assert all(whole[clip.start_s] == clip for clip in clips)


def test_a_detector_cannot_be_changed(motion, motion_bundle):
    assert motion.bundle.path == motion_bundle
    for name in ("bundle", "provider", "threads"):
        with pytest.raises(AttributeError):
            setattr(motion, name, None)
    with pytest.raises(AttributeError):
        motion.bundle.sha256 = "0"


def test_progress_is_reported_to_the_end(motion):
    seen = []
    motion.detect(samples.natural_path(), progress=seen.append)
    assert seen[-1].clips == seen[-1].judged == 6
    assert seen[-1].time_s == pytest.approx(3.84, abs=TOLERANCES["time_s"].value)
    assert seen[-1].duration_s == pytest.approx(3.88, abs=TOLERANCES["header_duration_s"].value)
    assert [entry.time_s for entry in seen] == sorted(entry.time_s for entry in seen)


def test_score_clips_agrees_with_detect_bit_for_bit(tiny, tiny_bundle):
    result = tiny.detect(samples.natural_path())
    clips = list(flowtell.iter_face_clips(samples.natural_path(), tiny_bundle))
    scores = tiny.score_clips(np.stack([clip.frames for clip in clips]))
    assert scores.pair_logits.dtype == np.float32
    assert scores.pair_logits.shape == (6, 16)
    assert scores.flow.shape == (6, 16, 16, 16, 2)
    for index, judged in enumerate(result.faces[0].clips):
        assert tuple(scores.pair_logits[index].tolist()) == judged.pair_logits
        assert scores.clip_logits[index] == np.float32(judged.logit)
        assert scores.fake_probability[index] == sigmoid(judged.logit)


@pytest.mark.parametrize("batch", [1, 3, 8])
@pytest.mark.parametrize("pairs", [1, 4, 16])
def test_the_same_pair_has_the_same_logit_in_any_batch_and_clip(tiny, batch, pairs):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (17, 64, 64, 3), dtype=np.uint8)
    whole = tiny.score_clips(frames[None]).pair_logits[0]
    starts = [4 * index % (17 - pairs) for index in range(batch)]
    scores = tiny.score_clips(np.stack([frames[start : start + pairs + 1] for start in starts]))
    for row, start in zip(scores.pair_logits, starts, strict=True):
        assert np.array_equal(row, whole[start : start + pairs])


@pytest.mark.parametrize(
    "clips",
    [
        np.zeros((1, 5, 64, 64, 3), np.float32),
        np.zeros((5, 64, 64, 3), np.uint8),
        np.zeros((1, 5, 64, 60, 3), np.uint8),
        np.zeros((1, 5, 3, 64, 64), np.uint8),
        np.zeros((0, 5, 64, 64, 3), np.uint8),
        np.zeros((1, 1, 64, 64, 3), np.uint8),
    ],
)
def test_clips_of_another_shape_or_type_are_refused(motion, clips):
    with pytest.raises(InputError, match="clips must"):
        motion.score_clips(clips)


def test_files_without_a_face_a_long_one_or_any_picture(motion, write_video, portrait, tmp_path):
    grey = [np.full((96, 128, 3), 90 + shift, np.uint8) for shift in range(8)]
    small = [np.roll(portrait[::5, ::5], shift, 1)[:96, :96] for shift in range(8)]
    few = [np.roll(portrait, shift, 1) for shift in range(4)]
    (tmp_path / "text.mp4").write_text("no video")
    wanted = {
        write_video("no_face.mp4", grey): "no_face",
        write_video("small.mp4", small): "face_too_small",
        write_video("few.mp4", few): "too_short",
        tmp_path / "text.mp4": "undecodable",
        tmp_path / "nowhere.mp4": "undecodable",
    }
    for path, state in wanted.items():
        result = motion.detect(path)
        validate(result)
        assert (result.state, result.verdict, result.fake_probability) == (state, "undecided", None)
        assert result.reason
        assert result.pairs_judged == 0
        assert result.faces == ()


def test_a_broken_file_is_judged_as_far_as_it_goes(motion, broken_sample, sample_result):
    result = motion.detect(broken_sample)
    validate(result)
    assert result.state == "truncated"
    assert result.reason
    assert result.verdict != "undecided"
    whole = sample_result.faces[0].clips
    assert 0 < len(result.faces[0].clips) < len(whole)
    assert result.faces[0].clips[0] == whole[0]


@pytest.mark.parametrize(
    ("size", "states"),
    [
        ((64, 64), {"face_too_small", "no_face"}),
        ((97, 55), {"face_too_small", "no_face"}),
        ((641, 361), {"ok"}),
        ((3840, 2160), {"ok"}),
    ],
)
def test_videos_of_any_size(motion, write_video, portrait, size, states):
    width, height = size
    step = max(1, 480 // min(size))
    head = portrait[::step, ::step][:height, :width]

    def frame(shift):
        canvas = np.full((height, width, 3), 120, np.uint8)
        canvas[: head.shape[0], : head.shape[1]] = np.roll(head, shift % 3, 0)
        return canvas

    path = write_video("a.mkv", [frame(i) for i in range(6)], codec="ffv1", pix_fmt="yuv444p")
    result = motion.detect(path)
    validate(result)
    assert result.state in states


def broken_detector(motion_detector, node_change):
    model = onnx.ModelProto()
    model.CopyFrom(motion_detector)
    node_change(model)
    return model.SerializeToString()


def test_a_logit_that_is_no_number_is_an_error_and_never_a_score(bundle_copy, replace_graph, motion_detector):
    def divide_by_zero(model):
        for value in model.graph.initializer:
            if value.name == "offset":
                value.raw_data = np.float32(np.nan).tobytes()

    replace_graph(bundle_copy, "detector", broken_detector(motion_detector, divide_by_zero))
    detector = Detector.open(bundle_copy)
    with pytest.raises(BundleError, match="not a number"):
        detector.detect(samples.natural_path(), max_clips=1)
    with pytest.raises(BundleError, match="not a number"):
        detector.score_clips(np.zeros((1, 5, 64, 64, 3), np.uint8))


def test_a_graph_that_gives_other_shapes_is_an_error(bundle_copy, replace_graph, motion_detector):
    def one_pair_less(model):
        model.graph.node[7].output[0] = "all_logits"
        model.graph.node.insert(
            8, helper.make_node("Slice", ["all_logits", "from_1", "to_end", "axis_1"], ["pair_logits"])
        )

    replace_graph(bundle_copy, "detector", broken_detector(motion_detector, one_pair_less))
    with pytest.raises(BundleError, match=r"gave an array of shape \(1, 15\), not \(1, 16\)"):
        Detector.open(bundle_copy).detect(samples.natural_path(), max_clips=1)


def test_a_graph_that_fails_while_it_runs_is_an_error(bundle_copy, replace_graph, motion_detector):
    def reshape_to_nothing(model):
        model.graph.node[9].input[1] = "axis_1"

    replace_graph(bundle_copy, "detector", broken_detector(motion_detector, reshape_to_nothing))
    with pytest.raises(ProviderError, match=r"'detector\.onnx'"):
        Detector.open(bundle_copy).score_clips(np.zeros((1, 5, 64, 64, 3), np.uint8))


def test_arguments_out_of_range_are_refused(motion, motion_bundle):
    for threads in (0, 257, 1.5, True):
        with pytest.raises(InputError, match="threads"):
            Detector.open(motion_bundle, threads=threads)
    with pytest.raises(InputError, match="number of clips"):
        motion.detect(samples.natural_path(), max_clips=0)
    with pytest.raises(BundleError, match="no bundle"):
        Detector.open("nowhere")


def test_a_bundle_without_a_detector_cuts_clips_but_does_not_judge(bundle_copy, rewrite_manifest):
    rewrite_manifest(bundle_copy, lambda m: (m["graphs"].pop("detector"), m.update(thresholds=[])))
    with pytest.raises(BundleError, match="has no detector"):
        Detector.open(bundle_copy)
    assert sum(1 for _ in flowtell.iter_face_clips(samples.natural_path(), bundle_copy)) == 6


def test_iter_face_clips_keeps_a_budget_and_raises_what_is_wrong_with_the_file(motion_bundle, tmp_path):
    clips = list(flowtell.iter_face_clips(samples.natural_path(), motion_bundle, max_clips=2))
    assert len(clips) == 2
    assert clips[0].start_s < clips[1].start_s
    with pytest.raises(flowtell.DecodeError, match="does not exist"):
        list(flowtell.iter_face_clips(tmp_path / "nowhere.mp4", motion_bundle))
    with pytest.raises(InputError, match="number of clips"):
        flowtell.iter_face_clips(samples.natural_path(), motion_bundle, max_clips=0)


def is_open(path):
    """Tell whether a descriptor of this process or of one of its children is the file at `path`."""
    for process in ["self", *children_of(os.getpid())]:
        for entry in Path(f"/proc/{process}/fd").iterdir():
            with contextlib.suppress(OSError):  # the listing's own descriptor is gone by now
                if os.path.samestat(entry.stat(), path.stat()):
                    return True
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists the descriptors of other processes")
def test_leaving_the_clips_early_closes_the_file(motion_bundle):
    clips = flowtell.iter_face_clips(samples.natural_path(), motion_bundle)
    next(clips)
    assert is_open(samples.natural_path())
    clips.close()
    assert not is_open(samples.natural_path())


def test_an_error_of_the_caller_s_progress_comes_through(motion):
    def fail(_):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        motion.detect(samples.natural_path(), progress=fail)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"path": 5}, "a video is named by a str or a path, not by 5"),
        ({"path": b"a.mp4"}, "a video is named by a str or a path"),
        ({"path": None}, "a video is named by a str or a path"),
        ({"effort": None}, "effort must be an Effort, not None"),
    ],
)
def test_arguments_of_another_type_are_refused(motion_bundle, wrong, says):
    arguments = {"path": samples.natural_path()} | wrong
    path = arguments.pop("path")
    with Detector.open(motion_bundle) as detector:
        with pytest.raises(InputError, match=says):
            detector.detect(path, **arguments)
        with pytest.raises(InputError, match=says):
            list(detector.detect_many([path], **arguments))
    with Detector.open(motion_bundle) as detector:
        with pytest.raises(InputError, match="paths must be a row of paths, not None"):
            detector.detect_many(None)
        with pytest.raises(InputError, match="paths must be a row of paths, not the one path"):
            detector.detect_many(str(samples.natural_path()))
        with pytest.raises(InputError, match="clips must be one array in host memory"):
            detector.score_clips([np.zeros((5, 64, 64, 3)), np.zeros((9, 64, 64, 3))])
    with pytest.raises(InputError, match="profile must be a Profile"):
        Detector.open(motion_bundle, profile="profile.json")
