"""Parity of bundle and Keras on real face clips, and the command that measures it."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import flowtell
from flowtell.__main__ import main
from flowtell.export.bundle import facts_from_bundle, keras_from_bundle, write_bundle
from flowtell.export.limits import FP32_LIMITS
from flowtell.export.model_folder import write_model_folder
from flowtell.export.parity import Figures, beyond_limits, clips_of_files, compare
from flowtell.export.tiny import tiny_models

FILES, PAIRS = 10, 2


@pytest.fixture(scope="module")
def videos(dev_data):
    """Ten development videos: every set, method and size in turn."""
    with (dev_data / "clips" / "labels.csv").open() as file:
        paths = [row["path"] for row in csv.DictReader(file)]
    return [dev_data / "clips" / paths[index * len(paths) // FILES] for index in range(FILES)]


@pytest.fixture(scope="module")
def uv_bundle(tmp_path_factory, request):
    """The tiny bundle with the other flow encoding."""
    folder = tmp_path_factory.mktemp("bundles") / "uv"
    tiny = request.getfixturevalue("tiny_bundle")
    write_bundle(folder, tiny_models("uv"), *facts_from_bundle(tiny))
    return folder


@pytest.fixture(params=["colour wheel", "uv", "default"])
def bundle(request, tiny_bundle):
    """Each kind of bundle."""
    if request.param == "default":
        folder = Path(flowtell.default_bundle_path())
        if not (folder / "detector.onnx").is_file():
            pytest.skip("the package has no default bundle")
        return folder
    return tiny_bundle if request.param == "colour wheel" else request.getfixturevalue("uv_bundle")


def test_every_stage_agrees_on_real_crops(bundle, videos):
    opened = flowtell.Bundle.open(bundle)
    figures = compare(keras_from_bundle(bundle), opened, clips_of_files(videos, opened, 1, PAIRS))
    assert figures.clips == FILES
    assert figures.pairs == FILES * PAIRS
    assert beyond_limits(figures) == [], figures


def test_other_weights_do_not_pass(tiny_bundle, videos):
    models = keras_from_bundle(tiny_bundle)
    kernel = models.classifier.logit.kernel
    kernel.assign(np.asarray(kernel) * 1.01)
    opened = flowtell.Bundle.open(tiny_bundle)
    figures = compare(models, opened, clips_of_files(videos[:1], opened, 1, PAIRS))
    assert "classifier_probability" in beyond_limits(figures)
    assert "flow_max_epe" not in beyond_limits(figures)


def test_limits_are_inclusive_and_not_a_number_exceeds_them():
    within = Figures(1e-3, 1e-4, 1e-5, 1e-3, 0, 1, 1)
    assert beyond_limits(within) == []
    assert beyond_limits(replace(within, verdict_flips=1)) == ["verdict_flips"]
    assert beyond_limits(replace(within, flow_max_epe=float("nan"))) == ["flow_max_epe"]
    assert all(limit.reason for limit in FP32_LIMITS.values())


@pytest.fixture
def sample():
    """The bundled sample of natural motion."""
    found = sorted((Path(flowtell.__file__).parent / "samples").glob("*.mp4"))
    assert found
    return found[0]


def test_check_reports_agreement(tiny_bundle, sample, capsys):
    assert main(["check", str(tiny_bundle), "--against", "self", "--clips", str(sample), "--pairs", "1"]) == 0
    text = capsys.readouterr().out
    assert "1 face clips, 1 pairs" in text
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


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "{bundle}", "--against", "self", "--clips", "{nowhere}"], "no video"),
        (["check", "{nowhere}", "--against", "self", "--clips", "{nowhere}"], "no bundle"),
        (["check", "{bundle}", "--against", "{nowhere}", "--clips", "{nowhere}"], "model.json"),
        (["export", "{nowhere}", "--out", "{nowhere}"], "model.json"),
    ],
    ids=["no video", "no bundle", "no model", "no model to export"],
)
def test_wrong_usage_is_one_sentence(tiny_bundle, tmp_path, capsys, arguments, words):
    places = {"bundle": tiny_bundle, "nowhere": tmp_path / "nowhere"}
    assert main([argument.format(**places) for argument in arguments]) == 2
    message = capsys.readouterr().err
    assert words in message
    assert len(message.strip().splitlines()) == 1


def test_export_from_a_model_folder_and_from_a_bundle(tiny_bundle, tmp_path, models, capsys):
    write_model_folder(tmp_path / "model", models, *facts_from_bundle(tiny_bundle))
    assert main(["export", str(tmp_path / "model"), "--out", str(tmp_path / "bundle")]) == 0
    flowtell.Bundle.open(tmp_path / "bundle").verify()
    for network in ("flow", "classifier"):
        assert main(["export", str(tmp_path / "bundle"), "--only", network, "--out", str(tmp_path)]) == 0
        assert (tmp_path / f"{network}.onnx").is_file()
    assert "MB" in capsys.readouterr().out
