"""The classifier and the cnn_lstm: trained, exported and judged by engine and Keras alike."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from tolerances import TOLERANCES

import flowtell
from flowtell import InputError, default_bundle_path
from flowtell.__main__ import main
from flowtell.export.bundle import keras_from_bundle, write_bundle
from flowtell.export.model_folder import read_model_folder
from flowtell.training.evaluation import keras_scorer
from flowtell.training.judge_task import JudgeTask
from flowtell.training.models import ClipHeadConfig
from flowtell.training.models.model_folder import read_models, update_facts
from flowtell.training.settings import ClassifierSettings, ClipLSTMSettings, FitSettings
from flowtell.training.splits import split_videos
from flowtell.training.train import TrainingData, train_judge

SMALL = {
    "input_size": 32,
    "head_units": (16,),
    "width": 16,
    "encoding": "uv",
    "pair_stride": 1,
    "dropout": 0.1,
}
FIT = FitSettings(steps=60, epoch_steps=30, batch_size=8, learning_rate=3e-3)
CLASSIFIER = ClassifierSettings(FIT, **SMALL)
CNN_LSTM = ClipLSTMSettings(FIT, **SMALL, lstm=ClipHeadConfig(units=6))


def train(settings, made_set, folder):
    parts = split_videos(made_set.prepared.videos)
    data = TrainingData(made_set.prepared, parts, {"by": "identity", "seed": 0})
    return train_judge(settings, data, folder, made_set.network, name="made", licence="for tests")


@pytest.fixture(scope="module")
def trained(made_set, tmp_path_factory):
    """Kind to the folder of its run and the result."""
    runs = {}
    for kind, settings in (("classifier", CLASSIFIER), ("cnn_lstm", CNN_LSTM)):
        folder = tmp_path_factory.mktemp(kind) / "run"
        runs[kind] = folder, train(settings, made_set, folder)[0]
    return runs


@pytest.fixture(scope="module")
def bundles(trained, tmp_path_factory):
    """Kind to the bundle that its model folder was exported to."""
    folders = {}
    for kind, (folder, _) in trained.items():
        folders[kind] = tmp_path_factory.mktemp("bundles") / kind
        write_bundle(folders[kind], *read_model_folder(folder / "model"))
    return folders


@pytest.mark.parametrize("kind", ["classifier", "cnn_lstm"])
def test_flicker_is_learnt(kind, trained):
    result = trained[kind][1]
    assert result.history[-1]["loss"] < result.history[0]["loss"]
    assert max(row["val_auc"] for row in result.history) == 1.0


@pytest.mark.parametrize("kind", ["classifier", "cnn_lstm"])
def test_the_engine_says_what_keras_says(kind, bundles, made_set):
    clips = made_set.prepared.clips(1)
    scores = flowtell.Detector.open(bundles[kind]).score_clips(clips)
    clip_logits, pair_logits = keras_scorer(keras_from_bundle(bundles[kind]))(clips)
    for ours, theirs in ((scores.clip_logits, clip_logits), (scores.pair_logits, pair_logits)):
        difference = np.abs(1 / (1 + np.exp(-ours)) - 1 / (1 + np.exp(-theirs))).max()
        assert difference <= TOLERANCES["reference_probability"].value
    is_mean = np.allclose(scores.clip_logits, scores.pair_logits.mean(1), atol=1e-6)
    assert is_mean == (kind == "classifier")


def test_a_bundle_with_a_temporal_head_judges_a_file(bundles):
    result = flowtell.Detector.open(bundles["cnn_lstm"]).detect(flowtell.samples.natural_path(), max_clips=1)
    assert result.state == "ok"


def test_pair_by_pair_is_the_whole_clip(trained, made_set):
    detector = read_models(trained["cnn_lstm"][0] / "model")[0].detector()
    clips = made_set.prepared.clips(0)
    whole = detector(clips)["clip_logit"]
    state = detector.initial_state(len(clips))
    for t in range(clips.shape[1] - 1):
        logit, state = detector.step(clips[:, t : t + 2], state)
    assert np.abs(np.array(logit) - np.array(whole)).max() <= TOLERANCES["streamed_logit"].value


def test_only_a_temporal_head_keeps_a_state(trained):
    detector = read_models(trained["classifier"][0] / "model")[0].detector()
    with pytest.raises(ValueError, match="train a cnn_lstm"):
        detector.initial_state(1)


def test_a_stopped_run_goes_on_where_it_was(made_set, trained, tmp_path):
    first = replace(CNN_LSTM, fit=replace(FIT, stop_step=30))
    train(first, made_set, tmp_path / "run")
    # The run belongs to its settings; for this test they are those of the whole run from here on.
    settings = tmp_path / "run" / "settings.json"
    settings.write_text((trained["cnn_lstm"][0] / "settings.json").read_text())
    with np.load(tmp_path / "run" / "state.npz") as stored:
        arrays = dict(stored)
    record = json.loads(str(arrays["record"]))
    assert record.pop("ended") == "steps"
    np.savez(
        tmp_path / "run" / "state.npz", **arrays | {"record": np.array(json.dumps({**record, "ended": None}))}
    )
    result = train(CNN_LSTM, made_set, tmp_path / "run")[0]
    assert result.history == trained["cnn_lstm"][1].history


def test_frozen_blocks_stay_and_the_trained_one_moves(made_set, tmp_path):
    settings = replace(CLASSIFIER, trained="block5", fit=replace(FIT, steps=2, epoch_steps=2))
    parts = split_videos(made_set.prepared.videos)
    task = JudgeTask(settings, made_set.prepared, parts, tmp_path / "cache")
    blocks = task.networks["classifier"].blocks
    before = [[w.numpy() for w in block.weights] for block in blocks]
    from flowtell.training.trainer import fit

    fit(task, settings.fit, tmp_path / "run", {})
    moved = [
        any((a != w.numpy()).any() for a, w in zip(b, block.weights, strict=True))
        for b, block in zip(before, blocks, strict=True)
    ]
    assert moved == [False, False, False, False, True]


@pytest.mark.parametrize(
    ("settings", "blocks"), [(CLASSIFIER, 4), (CLASSIFIER, 5), (CNN_LSTM, 4)], ids=["4", "5", "lstm-4"]
)
def test_the_model_folder_judges_as_the_head_was_trained(settings, blocks, made_set, tmp_path):
    fit = replace(FIT, steps=20, epoch_steps=20, keep="last")
    task = train(replace(settings, blocks=blocks, fit=fit), made_set, tmp_path / "run")[1]
    score = keras_scorer(read_models(tmp_path / "run" / "model")[0])
    ours, theirs = [], []
    for position in (0, 1):
        ours.append(task.judge(position)[0])
        theirs.append(score(made_set.prepared.clips(position))[0])
    ours, theirs = np.concatenate(ours), np.concatenate(theirs)
    difference = np.abs(ours - theirs).max() / np.abs(theirs).max()
    assert difference <= TOLERANCES["float16_features_logit"].value


def test_validation_of_one_class_tells_no_weights_from_others(made_set, tmp_path):
    # A video has 8 pairs, as many as a batch.
    few = replace(CLASSIFIER, validation_steps=1, fit=replace(FIT, steps=2, epoch_steps=2))
    with pytest.raises(InputError, match="validation_steps = 1 judges videos of one class only"):
        train(few, made_set, tmp_path / "run")
    last = train(replace(few, fit=replace(few.fit, keep="last")), made_set, tmp_path / "last")[0]
    assert last.history[0].keys() == {"epoch", "step", "loss", "val_loss"}
    both = train(replace(few, validation_steps=2), made_set, tmp_path / "both")[0]
    assert "val_auc" in both.history[0]


def test_the_flow_must_be_the_networks(made_set, tmp_path):
    from flowtell.training.models import FLOW_PRESETS, build_flow_network
    from flowtell.training.run_folder import write_json

    build_flow_network("tiny").save_weights(tmp_path / "flow.weights.h5")
    write_json(tmp_path / "flow.json", {"flow": FLOW_PRESETS["tiny"].to_dict()})
    other = replace(made_set, network=tmp_path)
    with pytest.raises(InputError, match="is not that of this flow network"):
        train(CLASSIFIER, other, tmp_path / "run")


def test_evaluation_agrees_on_bundle_and_model(bundles, made_set, tmp_path, capsys):
    assert main(["export", str(bundles["cnn_lstm"]), "--keras", "--out", str(tmp_path / "model")]) == 0
    reports = []
    for model in (bundles["cnn_lstm"], tmp_path / "model"):
        out = tmp_path / f"of-{model.name}"
        assert main(["evaluate", str(model), "--data", str(made_set.prepared.folder), "--out", str(out)]) == 0
        reports.append(json.loads((out / "evaluation.json").read_text()))
        assert sorted(p.name for p in out.glob("*.png")) == ["confusion.png", "reliability.png", "roc.png"]
    assert "not supported: 6 originals" in capsys.readouterr().out
    assert [r["run_by"] for r in reports] == ["engine", "keras"]
    for level in ("pair", "clip", "file"):
        for name in ("auc", "equal_error_rate", "accuracy", "calibration_error"):
            ours, theirs = (r[level][name]["value"] for r in reports)
            assert abs(ours - theirs) <= TOLERANCES["evaluation_figure"].value
    assert reports[0]["confusion"] == reports[1]["confusion"]


def test_calibration_goes_into_the_model_folder(trained, made_set, tmp_path, capsys):
    folder = trained["classifier"][0]
    arguments = ["--data", str(made_set.prepared.folder), "--out", str(tmp_path), "--no-plots"]
    split = ["--split", str(folder / "split.json"), "--part", "validation"]
    assert main(["evaluate", str(folder / "model"), *arguments, *split, "--calibrate"]) == 0
    report = json.loads((tmp_path / "evaluation.json").read_text())
    models, facts = read_models(folder / "model")
    assert models.settings.temperature == pytest.approx(report["manifest"]["temperature"])
    assert facts["thresholds"] == report["manifest"]["thresholds"]
    assert facts["thresholds"][0]["operating_point"].startswith("equal error rate: ")


def test_a_finished_run_started_again_stays_calibrated_until_its_weights_change(trained, made_set, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained["classifier"][0], folder)
    points = [{"fake_probability": 0.7, "operating_point": "by hand"}]
    update_facts(folder / "model", 2.5, points)
    train(CLASSIFIER, made_set, folder)
    models, facts = read_models(folder / "model")
    assert (models.settings.temperature, facts["thresholds"]) == (2.5, points)
    (logit,) = (v for v in models.classifier.variables if v.path.endswith("logit/bias"))
    logit.assign(logit + 1)
    models.classifier.save_weights(folder / "classifier.weights.h5")
    train(CLASSIFIER, made_set, folder)
    models, facts = read_models(folder / "model")
    assert models.settings.temperature == 1.0
    assert facts["thresholds"][0]["operating_point"].startswith("not calibrated yet")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "classifier", "--out", "{}/run"], "flowtell train classifier needs --data"),
        (
            ["train", "flow", "--preset", "original", "--out", "{}/run"],
            "there is no preset 'original' of flow",
        ),
        (
            ["train", "cnn_lstm", "--data", "{}", "--flow", "{}", "--out", "{}/run"],
            "holds no finished prepared set",
        ),
        (["evaluate", "{}", "--out", "{}/e"], "needs either --data (a detector) or --flow-pairs"),
        (["evaluate", "{}", "--data", "{}", "--out", "{}/e"], "holds no finished prepared set"),
        (["evaluate", "{}", "--flow-pairs", "{}", "--out", "{}/e"], "there is no flow network in"),
        (
            ["evaluate", str(default_bundle_path()), "--flow-pairs", "{}", "--out", "{}/e"],
            "is a bundle, and its network is asked for: take it apart with flowtell export",
        ),
        (
            ["evaluate", "{}", "--flow-pairs", "{}", "--calibrate", "--out", "{}/e"],
            "--flow-pairs measures a flow network: --calibrate and --split say nothing of it",
        ),
        (
            ["evaluate", "{}", "--data", "{}", "--part", "validation", "--out", "{}/e"],
            "--part is a part of a split: name its file with --split",
        ),
        (["train", "flow", "--data", "{}", "--out", "{}/run"], "--data says nothing of training flow"),
        (
            ["train", "flow", "--split-by", "video", "--out", "{}/run"],
            "--split-by says nothing of training flow",
        ),
        (
            ["train", "classifier", "--teacher", "{}/t.npz", "--out", "{}/run"],
            "--teacher says nothing of training classifier",
        ),
        (["train", "flow", "--seed", "-1", "--out", "{}/run"], "seed must be from 0 to 4294967295, not -1"),
    ],
)
def test_wrong_usage_is_one_sentence(arguments, message, tmp_path, capsys):
    assert main([a.replace("{}", str(tmp_path)) for a in arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
