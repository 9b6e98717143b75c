"""Every precision is measured, those that the gate refuses too; docs/precision.md shows what is stored."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tolerances import TOLERANCES

from flowtell import samples
from flowtell.benchmarks import precision
from flowtell.benchmarks.precision import WIDENED, tables, vgg16_alone, vgg16_input
from flowtell.export.calibration import session_of
from flowtell.export.graphs import detector_graph
from flowtell.export.precision import derived_detector
from flowtell.export.tiny import CROP_SIZE, random_weights, tiny_models
from flowtell.export.trained_models import TrainedModels

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "precision.md").read_text(encoding="utf-8")
STORED = {
    name: json.loads((ROOT / "benchmarks" / "results" / name).read_text(encoding="utf-8"))
    for name in ("precision-zen5-2-cores.json",)
}
MANIFEST = json.loads((ROOT / "engine/flowtell/bundles/default/manifest.json").read_text(encoding="utf-8"))
ROWS = ["fp32", "fp16", "bf16", "int8", WIDENED]


def test_the_page_has_the_tables_of_the_stored_results():
    blocks = re.findall(r"<!-- begin: (.*?) -->\n(.*?)<!-- end -->", PAGE, re.DOTALL)
    shown = {Path(command.split()[-1]).name: text.strip() for command, text in blocks}
    assert shown == {name: tables(result) for name, result in STORED.items()}


@pytest.mark.parametrize("name", STORED)
def test_a_stored_result_is_of_the_packaged_bundle(name):
    result = STORED[name]
    assert result["bundle"]["detector_sha256"] == MANIFEST["graphs"]["detector"]["fp32"]["sha256"]
    assert list(result["precisions"]) == ROWS
    assert not result["precisions"]["fp32"]["beyond"]
    assert result["precisions"]["fp32"]["figures"]["verdict_flips"] == 0


def test_every_precision_is_measured(tiny_bundle):
    """Those of the tiny bundle beside Keras; to store its weights otherwise changes no logit."""
    command = [sys.executable, "-m", "flowtell.benchmarks.precision", str(tiny_bundle)]
    options = ["--clips", str(samples.natural_path()), "--clips-per-file", "2", "--pairs", "2", "--runs", "1"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    assert list(result["precisions"]) == ROWS
    rows = result["precisions"]
    by_onnxruntime = [row["speed"] for name, row in rows.items() if name != "bf16"]
    assert all(speed["detector, onnxruntime"]["median_ms"] > 0 for speed in by_onnxruntime)
    assert all(speed["VGG16, onnxruntime"]["median_ms"] > 0 for speed in by_onnxruntime)
    assert "detector, onnxruntime" not in rows["bf16"]["speed"]
    assert rows["fp32"]["speed"]["detector, onnxruntime"]["relative_to_fp32"] == 1
    assert rows["fp32"]["figures"]["pair_logit"] < rows["fp16"]["figures"]["pair_logit"]
    assert rows["fp16"]["figures"]["flow_mean_epe"] < rows["bf16"]["figures"]["flow_mean_epe"]
    assert rows["fp32"]["detector_bytes"] < rows[WIDENED]["detector_bytes"]
    assert result["widening_changes_a_logit_by"] == 0
    assert "stage" not in done.stdout and "gate int8" in done.stderr


def test_vgg16_alone_gives_the_detector_s_logits():
    """Also where no change of the colours stands before it; a temperature divides what it gives."""
    tiny = tiny_models("uv")
    classifier = replace(tiny.classifier.config, preprocessing="raw_rgb")
    models = TrainedModels.build(tiny.network.config, classifier, tiny.settings)
    models.assign(random_weights(models, 1))
    clip = np.random.default_rng(0).integers(0, 256, (3, CROP_SIZE, CROP_SIZE, 3)).astype(np.uint8)
    inputs, data = {"clips": clip[None]}, detector_graph(models).SerializeToString()
    begin = vgg16_input(data)
    picture = precision._value(data, inputs, begin)
    (found,) = session_of(vgg16_alone(data, begin)).run(None, picture)
    (wanted,) = session_of(data).run(["pair_logits"], inputs)
    difference = np.abs(found.ravel() / tiny.settings.temperature - wanted.ravel()).max()
    assert difference <= TOLERANCES["small_graph"].value
    for name in ("fp16", "int8"):
        derived = derived_detector(data, name, [clip]).SerializeToString()
        (found,) = session_of(vgg16_alone(derived, begin)).run(None, picture)
        assert np.isfinite(found).all()


def test_a_table_says_what_was_refused_and_by_how_much():
    figures = {
        "flow_mean_epe": 0.00012, "flow_p99_epe": 0.001, "flow_max_epe": 0.01, "pair_logit_mean": 0.1,
        "pair_logit": 0.5, "clip_logit": 0.07, "verdict_flips": 1, "clips": 8,
    }  # fmt: skip
    timing = {"median_ms": 100.0, "low_ms": 80.0, "high_ms": 125.0}
    slower = {"median_ms": 200.0, "low_ms": 200.0, "high_ms": 200.0}

    def row(times, found, beyond):
        speed = {f"{part}, onnxruntime": times for part in ("detector", "VGG16")}
        return {"detector_bytes": 19_400_000, "figures": found, "beyond": beyond, "speed": speed}

    result = {
        "widening_changes_a_logit_by": 0.0,
        "precisions": {
            "fp32": row(timing, figures, {}),
            "int8": row(slower, figures, {"pair_logit_mean": 0.03}),
            WIDENED: row(slower, None, None),
        },
    }
    assert tables(result).splitlines() == [
        "| | `detector.onnx` | flow EPE, px: mean, p99, worst | logit of a pair: mean, worst "
        "| of a clip: worst | verdict flips | gate |",
        "|---|---|---|---|---|---|---|",
        "| fp32 | 19.4 MB | 0.00012, 0.001, 0.01 | 0.1, 0.5 | 0.07 | 1 of 8 | passes |",
        "| int8 | 19.4 MB | 0.00012, 0.001, 0.01 | 0.1, 0.5 | 0.07 | 1 of 8 "
        "| refused: `pair_logit_mean` 0.1 over 0.03 |",
        f"| {WIDENED} | 19.4 MB | fp32's own: logits differ by 0 | | | | not asked |",
        "",
        "| speed, fp32 = 1 | detector, ONNX Runtime | detector, OpenVINO "
        "| VGG16, ONNX Runtime | VGG16, OpenVINO |",
        "|---|---|---|---|---|",
        "| fp32 | 1.00 (0.80 to 1.25) | not run | 1.00 (0.80 to 1.25) | not run |",
        "| int8 | 0.50 (0.50 to 0.50) | not run | 0.50 (0.50 to 0.50) | not run |",
        f"| {WIDENED} | 0.50 (0.50 to 0.50) | not run | 0.50 (0.50 to 0.50) | not run |",
    ]
