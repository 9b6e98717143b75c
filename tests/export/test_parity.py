"""Parity of bundle and Keras on real face clips, and the command that measures it."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from tolerances import TOLERANCES

import flowtell
from flowtell.__main__ import main
from flowtell.export._cli_check import _ROWS
from flowtell.export.bundle import facts_from_bundle, keras_from_bundle, write_bundle
from flowtell.export.gate_clips import clips_of_files
from flowtell.export.limits import LIMITS, Limit
from flowtell.export.model_folder import write_model_folder
from flowtell.export.parity import Figures, beyond_limits, compare
from flowtell.export.tiny import tiny_models

FILES, PAIRS = 10, 2
FP32_LIMITS = LIMITS["fp32"]


@pytest.fixture(scope="module")
def videos(dev_data):
    """Ten development videos: every set, method and size in turn."""
    with (dev_data / "clips" / "labels.csv").open() as file:
        paths = [row["path"] for row in csv.DictReader(file)]
    return [dev_data / "clips" / paths[index * len(paths) // FILES] for index in range(FILES)]


@pytest.fixture(scope="module", params=["colour_wheel", "uv", "uv_residual", "default"])
def bundle(request, tiny_bundle, tmp_path_factory):
    """The tiny bundle, the same with each other flow image, and the default one."""
    if request.param == "default":
        return Path(flowtell.default_bundle_path())
    if request.param == "colour_wheel":
        return tiny_bundle
    folder = tmp_path_factory.mktemp("bundles") / request.param
    write_bundle(folder, tiny_models(request.param), *facts_from_bundle(tiny_bundle))
    return folder


def test_every_stage_agrees_on_real_crops(bundle, videos):
    opened = flowtell.Bundle.open(bundle)
    figures = compare(keras_from_bundle(bundle), opened, clips_of_files(videos, opened, 1, PAIRS)).figures
    assert figures.clips == FILES
    assert figures.pairs == FILES * PAIRS
    assert beyond_limits(figures) == [], figures


def test_other_weights_do_not_pass(tiny_bundle, videos):
    models = keras_from_bundle(tiny_bundle)
    kernel = models.classifier.logit.kernel
    kernel.assign(np.asarray(kernel) * 1.01)
    opened = flowtell.Bundle.open(tiny_bundle)
    figures = compare(models, opened, clips_of_files(videos[:1], opened, 1, PAIRS)).figures
    assert "classifier_probability" in beyond_limits(figures)
    assert "flow_max_epe" not in beyond_limits(figures)


def test_figures_are_the_differences_of_the_two_sides(tiny_bundle, sample):
    """A logit bias moved by a hundredth of the temperature moves every logit by 0.01 and no flow."""
    models = keras_from_bundle(tiny_bundle)
    bias = models.classifier.logit.bias
    bias.assign(np.asarray(bias) + 0.01 * models.settings.temperature)
    opened = flowtell.Bundle.open(tiny_bundle)
    figures = compare(models, opened, clips_of_files([sample], opened, 1, PAIRS)).figures
    drift = TOLERANCES["parity_logit"].value
    moved = (
        figures.classifier_logit,
        figures.classifier_logit_mean,
        figures.pair_logit,
        figures.pair_logit_mean,
    )
    assert moved == pytest.approx([0.01] * 4, abs=drift)
    # The sigmoid is nowhere steeper than a quarter.
    assert 0 < figures.classifier_probability_mean <= figures.classifier_probability <= 0.0025 + drift
    assert 0 < figures.pair_probability_mean <= figures.pair_probability <= 0.0025 + drift
    assert 0 < figures.flow_mean_epe < figures.flow_p99_epe < figures.flow_max_epe


def test_limits_are_inclusive_and_not_a_number_exceeds_them():
    unlimited = {field.name: 9.0 for field in fields(Figures) if field.name not in FP32_LIMITS}
    within = Figures(**{name: limit.value for name, limit in FP32_LIMITS.items()}, **unlimited)
    assert beyond_limits(within) == []
    assert beyond_limits(replace(within, verdict_flips=1)) == ["verdict_flips"]
    for figure in (float("nan"), float("inf"), float("-inf")):
        assert beyond_limits(replace(within, flow_max_epe=figure)) == ["flow_max_epe"]
    assert beyond_limits(within, {"pairs": Limit(float("inf"), "", "none")}) == []
    infinite = replace(within, clip_logit=float("inf"))
    assert beyond_limits(infinite, {"clip_logit": Limit(float("inf"), "", "none")}) == ["clip_logit"]
    assert all(limit.reason for limits in LIMITS.values() for limit in limits.values())


@pytest.fixture
def sample():
    """The bundled sample of natural motion."""
    found = sorted((Path(flowtell.__file__).parent / "samples").glob("*.mp4"))
    assert found
    return found[0]


def test_check_reports_agreement(tiny_bundle, sample, capsys):
    assert main(["check", str(tiny_bundle), "--against", "self", "--clips", str(sample), "--pairs", "1"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("1 face clip, 1 pair, fp32\n")
    shown = {name for name, _, _ in _ROWS}
    assert shown | {"clips", "pairs"} == {field.name for field in fields(Figures)}
    assert "BEYOND" not in text
    assert text.count("within") == len(FP32_LIMITS)


def test_check_fails_on_another_model(tiny_bundle, tmp_path, models, sample, capsys):
    other = tiny_models()
    other.assign({path: value * 1.01 for path, value in models.weights().items()})
    write_model_folder(tmp_path, other, *facts_from_bundle(tiny_bundle))
    arguments = ["check", str(tiny_bundle), "--against", str(tmp_path), "--clips", str(sample), "--json"]
    assert main(arguments) == 1
    report = json.loads(capsys.readouterr().out)
    assert "pair_probability" in report["beyond"]
    assert report["bundle"]["name"] == "tiny"
    assert report["figures"]["clips"] == 1
    assert report["bundle"]["weights_storage"] != "fp32"
    assert main(arguments[:-1]) == 1
    assert "what that changes is among these figures" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("worst", "must end in one of: ."),
        ("worst.mp4", "must end in one of: ."),
        ("none/worst.png", "cannot be written: name a file in a folder that is there"),
        ("folder.png", "cannot be written: name a file in a folder that is there"),
    ],
)
def test_a_picture_that_cannot_be_drawn_is_refused_before_anything_is_judged(
    tiny_bundle, tmp_path, capsys, name, says
):
    """That the video is not there is not even noticed."""
    (tmp_path / "folder.png").mkdir()
    words = ["check", str(tiny_bundle), "--against", "self", "--clips", str(tmp_path / "none.mp4")]
    assert main([*words, "--picture", str(tmp_path / name)]) == 2
    assert f"the picture '{tmp_path / name}' {says}" in capsys.readouterr().err


def test_a_picture_asks_for_matplotlib_before_anything_is_judged(tiny_bundle, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    words = ["check", str(tiny_bundle), "--against", "self", "--clips", str(tmp_path / "none.mp4")]
    assert main([*words, "--picture", str(tmp_path / "worst.png")]) == 2
    assert "--picture needs matplotlib" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that nothing can be written to")
def test_the_table_is_there_whatever_becomes_of_the_picture(tiny_bundle, sample, tmp_path, capsys):
    picture = tmp_path / "worst.png"
    picture.symlink_to("/dev/full")
    words = ["check", str(tiny_bundle), "--against", "self", "--clips", str(sample), "--pairs", "1"]
    assert main([*words, "--picture", str(picture)]) == 2
    said = capsys.readouterr()
    assert said.out.startswith("1 face clip, 1 pair, fp32\n")
    assert f"the picture '{picture}' cannot be written: " in said.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "{bundle}", "--against", "self", "--clips", "{nowhere}"], "no video"),
        (["check", "{nowhere}", "--against", "self", "--clips", "{nowhere}"], "no bundle"),
        (["check", "{bundle}", "--against", "{nowhere}", "--clips", "{nowhere}"], "model.json"),
        (["check", "{foreign}", "--against", "self", "--clips", "{nowhere}"], "not written by flowtell"),
        (["export", "{nowhere}", "--out", "{nowhere}"], "no folder"),
        (["export", "{nowhere}", "--only", "flow", "--out", "{nowhere}"], "no folder"),
        (["export", "{file}", "--out", "{nowhere}"], "no folder"),
        (["export", "{empty}", "--out", "{nowhere}"], "model.json"),
        (["export", "{foreign}", "--out", "{nowhere}"], "not written by flowtell"),
        (["export", "{foreign}", "--only", "flow", "--out", "{nowhere}"], "not written by flowtell"),
        (["export", "{paperless}", "--out", "{nowhere}"], "NOTICE"),
        (["export", "{bundle}", "--out", "{file}"], "is a file"),
        (["export", "{bundle}", "--out", "{file}/inside"], "is a file"),
        (["export", "{bundle}", "--only", "flow", "--out", "{file}"], "is a file"),
        (["export", "{bundle}", "--only", "flow", "--out", "{file}/inside"], "is a file"),
    ],
)
def test_wrong_usage_is_one_sentence(tiny_bundle, tmp_path, capsys, arguments, words):
    places = {name: tmp_path / name for name in ("nowhere", "file", "empty", "foreign", "paperless")}
    places["file"].write_text("of another purpose")
    places["empty"].mkdir()
    shutil.copytree(tiny_bundle, places["paperless"])
    (places["paperless"] / "NOTICE").unlink()
    shutil.copytree(tiny_bundle, places["foreign"])
    _forget_origin(places["foreign"])
    arguments = [argument.format(bundle=tiny_bundle, **places) for argument in arguments]
    assert main(arguments) == 2
    assert not places["nowhere"].exists()
    assert places["file"].read_text() == "of another purpose"
    message = capsys.readouterr().err
    assert words in message
    assert len(message.strip().splitlines()) == 1


def _forget_origin(folder):
    """Make of a bundle what another exporter might have written: no way back to Keras."""
    model = onnx.load(folder / "detector.onnx")
    del model.metadata_props[:]
    data = model.SerializeToString()
    (folder / "detector.onnx").write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_text())
    entry = manifest["graphs"]["detector"]["fp32"]
    entry.update(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_commands_say_nothing_but_their_own(tmp_path):
    """TensorFlow's notices do not reach the user; its failures would."""
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, "-m", "flowtell", "export", str(tmp_path / "nowhere"), "--out", str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr


@pytest.mark.parametrize("words", [[], ["--only", "flow"]], ids=["bundle", "network"])
def test_another_backend_of_keras_is_refused_in_a_sentence(tiny_bundle, tmp_path, words):
    """NumPy's is the one that is there wherever Keras is."""
    out = tmp_path / "out"
    command = [sys.executable, "-m", "flowtell", "export", str(tiny_bundle), "--out", str(out), *words]
    environment = os.environ | {"KERAS_BACKEND": "numpy"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "but Keras runs on 'numpy': unset KERAS_BACKEND or set it to tensorflow" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert not out.exists()


def test_export_from_a_model_folder_and_from_a_bundle(tiny_bundle, tmp_path, models, capsys):
    write_model_folder(tmp_path / "model", models, *facts_from_bundle(tiny_bundle))
    assert main(["export", str(tmp_path / "model"), "--out", str(tmp_path / "bundle")]) == 0
    flowtell.Bundle.open(tmp_path / "bundle").verify()
    for network in ("flow", "classifier"):
        assert main(["export", str(tmp_path / "bundle"), "--only", network, "--out", str(tmp_path)]) == 0
        assert (tmp_path / f"{network}.onnx").is_file()
    assert "MB" in capsys.readouterr().out
