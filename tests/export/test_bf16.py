"""A bf16 detector: OpenVINO computes what the graph says, and what the gate certified."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hostile_bundles import add_detector
from tolerances import TOLERANCES

from flowtell import Bundle, Detector, _provider_openvino, samples
from flowtell.export.gate_clips import clips_of_files
from flowtell.export.parity import graph_side
from flowtell.export.passes.round_halves import round_halves
from flowtell.export.precision import derived_detector


@pytest.fixture
def with_bf16(tiny_bundle_copy):
    """The tiny bundle with a bf16 detector that no gate has seen."""
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    if _provider_openvino.why_not_bf16() is not None:
        pytest.skip(_provider_openvino.why_not_bf16())
    model = derived_detector(Bundle.open(tiny_bundle_copy).read_graph("detector"), "bf16", [])
    add_detector(tiny_bundle_copy, "bf16", model.SerializeToString())
    return Bundle.open(tiny_bundle_copy)


def test_openvino_computes_what_the_gate_looks_at(with_bf16):
    clips = [clip.frames for clip in clips_of_files([samples.natural_path()], with_bf16, 2, 8)]
    wanted = graph_side(round_halves(onnx.load_model_from_string(with_bf16.read_graph("detector", "bf16"))))
    exact = graph_side(onnx.load_model_from_string(with_bf16.read_graph("detector")))
    with Detector.open(with_bf16, provider="openvino", precision="bf16") as detector:
        got = detector.score_clips(np.stack(clips))
    rounded = np.stack([wanted(frames).pair_logits for frames in clips])
    full = np.stack([exact(frames).pair_logits for frames in clips])
    drift, allowed = np.abs(got.pair_logits - full).mean(), np.abs(rounded - full).mean()
    assert 0 < drift <= allowed * TOLERANCES["bf16_runtime_drift"].value
    flow = np.stack([wanted(frames).flow for frames in clips])
    moved = np.linalg.norm(np.stack([exact(frames).flow for frames in clips]) - flow, axis=-1).mean()
    apart = np.linalg.norm(got.flow - flow, axis=-1).mean()
    assert 0 < apart <= moved * TOLERANCES["bf16_runtime_drift"].value


def test_scores_do_not_depend_on_threads_or_company(with_bf16):
    clips = np.random.default_rng(0).integers(0, 256, (3, 5, 64, 64, 3), dtype=np.uint8)
    found = []
    for threads in (1, 2):
        with Detector.open(with_bf16, provider="openvino", precision="bf16", threads=threads) as detector:
            assert detector.precision == "bf16"
            found += [detector.score_clips(clips).pair_logits, detector.score_clips(clips[:1]).pair_logits]
    for logits in found:
        np.testing.assert_array_equal(logits, found[0][: len(logits)])


def test_auto_takes_the_one_provider_that_can(with_bf16, monkeypatch):
    monkeypatch.delenv("FLOWTELL_PROVIDER")
    with Detector.open(with_bf16, precision="bf16") as detector:
        assert (detector.provider, detector.precision) == ("OpenVINO CPU", "bf16")
        assert detector.detect(samples.natural_path(), max_clips=1).precision == "bf16"
