"""A bundle may hold its detector in several precisions; the one that is asked for runs, or it is an error."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from hostile_bundles import add_detector
from onnx import numpy_helper
from tolerances import TOLERANCES

import flowtell
from flowtell import Detector, samples
from flowtell.__main__ import main

SHIFT = 0.25


@pytest.fixture
def two_precisions(bundle_copy, motion_detector):
    """The motion bundle with an int8 detector that can be told from its fp32 one: by SHIFT."""
    model = onnx.ModelProto()
    model.CopyFrom(motion_detector)
    offset = next(tensor for tensor in model.graph.initializer if tensor.name == "offset")
    offset.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(offset) + np.float32(SHIFT), "offset"))
    add_detector(bundle_copy, "int8", model.SerializeToString())
    return bundle_copy


def test_the_graph_of_the_precision_asked_for_runs(two_precisions):
    clips = np.random.default_rng(0).integers(0, 256, (1, 5, 64, 64, 3), dtype=np.uint8)
    fp32, int8 = (Detector.open(two_precisions, precision=name) for name in ("fp32", "int8"))
    assert (fp32.precision, int8.precision) == ("fp32", "int8")
    moved = int8.score_clips(clips).pair_logits - fp32.score_clips(clips).pair_logits
    np.testing.assert_allclose(moved, SHIFT, atol=TOLERANCES["motion_logit"].value)


def test_results_name_it(two_precisions, capsys):
    arguments = ["--bundle", str(two_precisions), "--precision", "int8", "--clips", "1", "--json"]
    assert main(["detect", str(samples.natural_path()), *arguments]) == 0
    assert json.loads(capsys.readouterr().out)["precision"] == "int8"


def test_a_precision_that_is_not_there_is_an_error(two_precisions):
    with pytest.raises(flowtell.BundleError, match="no detector graph in fp16, but in fp32, int8"):
        Detector.open(two_precisions, precision="fp16")
    with pytest.raises(flowtell.InputError, match="one of fp32, fp16, bf16, int8, not 'half'"):
        Detector.open(two_precisions, precision="half")
