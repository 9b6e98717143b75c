"""The original's demo: the same verdict as the engine on equal input, and its own way on a video."""

import json
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
from tolerances import TOLERANCES

import flowtell
from flowtell import InputError, samples
from flowtell.export import keras_from_bundle
from flowtell.export.bundle import facts_from_bundle
from flowtell.export.model_folder import write_model_folder
from flowtell.training.haar_faces import haar_clips, haar_crop
from flowtell.training.models import ClipHeadConfig, build_clip_head
from flowtell.training.reference import judge_crops, judge_video, main


@pytest.fixture(scope="module")
def models(tiny_bundle):
    return keras_from_bundle(tiny_bundle)


def test_on_the_engines_crops_it_says_what_the_engine_says(models, tiny_bundle):
    clip = next(flowtell.iter_face_clips(samples.natural_path(), tiny_bundle)).frames
    scores = flowtell.Detector.open(tiny_bundle).score_clips(clip[None])
    verdict = judge_crops([clip], models)
    want = 1 / (1 + np.exp(-scores.pair_logits[0].astype(float)))
    assert (
        np.abs(np.array(verdict.pair_probabilities) - want).max() <= TOLERANCES["reference_probability"].value
    )
    assert verdict.fake_probability == pytest.approx(np.mean(verdict.pair_probabilities))
    assert verdict.verdict == ("Fake" if verdict.fake_probability > 0.5 else "Original")


def test_a_video_goes_the_demos_way(models, tmp_path, tiny_bundle, capsys):
    facts, papers = facts_from_bundle(tiny_bundle)
    write_model_folder(tmp_path / "model", models, facts, papers)
    video = str(samples.natural_path())
    assert main([video, "--model", str(tmp_path / "model"), "--pairs", "3"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["frames"] == printed["faces"] == 4
    assert len(printed["pair_probabilities"]) == 3
    assert set(printed["timing_ms"]) == {"frames", "crop", "flow", "records", "predict"}


def test_spans_of_a_video_are_judged_as_in_the_whole_of_it(models):
    """The natural sample has 25 frames a second."""
    whole = judge_video(samples.natural_path(), models, pairs=20)
    spans = [(0.6, 0.76), (0.12, 0.2), (0.2, 0.28)]
    found = judge_video(samples.natural_path(), models, spans=spans)
    # frames 3 to 7, for two of them touch, and 15 to 19
    assert (found.frames, found.faces) == (10, 10)
    wanted = [whole.pair_probabilities[k] for k in (3, 4, 5, 6, 15, 16, 17, 18)]
    assert found.pair_probabilities == pytest.approx(wanted, abs=TOLERANCES["reference_probability"].value)
    with pytest.raises(InputError, match="holds no frame that can be decoded"):
        judge_video(samples.natural_path(), models, spans=[(50.0, 51.0)])
    with pytest.raises(InputError, match="holds no frame that can be decoded"):
        judge_video(samples.natural_path(), models, spans=[])


def test_no_face_is_no_number(models, write_video):
    grey = write_video("grey.mp4", [np.full((96, 96, 3), 9 * k, np.uint8) for k in range(4)])
    verdict = judge_video(grey, models)
    assert (verdict.verdict, verdict.fake_probability, verdict.faces) == ("No face", None, 0)


def test_what_is_no_video_is_one_sentence(models, tmp_path):
    path = tmp_path / "text.mp4"
    path.write_text("no video")
    with pytest.raises(InputError, match="cannot be opened as a video"):
        judge_video(path, models)


def test_a_model_with_an_lstm_is_not_judged_by_the_mean_of_its_pairs(models, tiny_bundle, tmp_path, capsys):
    head = build_clip_head(ClipHeadConfig(units=2), models.classifier.hidden_width)
    temporal = replace(models, clip_head=head)
    with pytest.raises(InputError, match="this model judges a clip by an LSTM"):
        judge_video(samples.natural_path(), temporal)
    with pytest.raises(InputError, match="this model judges a clip by an LSTM"):
        judge_crops([np.zeros((2, 64, 64, 3), np.uint8)], temporal)
    write_model_folder(tmp_path, temporal, *facts_from_bundle(tiny_bundle))
    with pytest.raises(SystemExit, match="2"):
        main(["x.mp4", "y.mp4", "--model", str(tmp_path)])
    assert capsys.readouterr().err.count("this model judges a clip by an LSTM") == 1


def test_a_folder_without_a_model_is_wrong_usage(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "flowtell.training.reference", "x.mp4", "--model", str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "give a model folder that training wrote" in done.stderr


def test_haar_clips_follow_each_frame():
    clips = haar_clips(samples.natural_path(), 64, 4, 1.3, 2)
    assert [clip.frames.shape for clip in clips] == [(5, 64, 64, 3)] * 2
    assert clips[0].start_s == 0
    assert clips[0].end_s == pytest.approx(4 / 25)
    assert clips[1].start_s > clips[0].end_s
    # The first crop is the demo's own.
    frame = cv2.VideoCapture(str(samples.natural_path())).read()[1]
    assert (clips[0].frames[0] == haar_crop(frame, 64, 1.3)).all()
    with pytest.raises(flowtell.DecodeError, match="cannot be opened"):
        haar_clips("nowhere.mp4", 64, 4, 1.3, 2)
