"""What exported graphs promise: operators, versions, layout, a silent load, scores that stand alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper
from tolerances import TOLERANCES

import flowtell
from flowtell.export.capture import DEFAULT_FACE_SCORE_THRESHOLD
from flowtell.export.crop_graph import crop_graph
from flowtell.export.cuts_graph import cuts_graph
from flowtell.export.faces_graph import faces_graph

DEFAULT = Path(flowtell.default_bundle_path())
FORBIDDEN = {"GatherElements", "GatherND", "If", "Loop", "NonMaxSuppression", "Scan", "ScatterND"}


def detector_of(path):
    return onnx.load(path / "detector.onnx")


@pytest.fixture(params=["tiny, just exported", "tiny, committed", "default"])
def detector(request):
    """The detector graph of every bundle there is."""
    if request.param == "default":
        return detector_of(DEFAULT)
    if request.param == "tiny, committed":
        return detector_of(request.getfixturevalue("tiny_bundle"))
    return request.getfixturevalue("tiny_graphs")["detector"]


@pytest.fixture
def graphs(tiny_graphs):
    """Every graph there is, by name."""
    capture = {
        "faces": faces_graph(DEFAULT_FACE_SCORE_THRESHOLD),
        "cuts": cuts_graph(),
        "crop": crop_graph(64),
    }
    return {**tiny_graphs, **capture}


def operators(model):
    return Counter(node.op_type for node in model.graph.node)


def session_of(model):
    """Open a session as the engine does; its log goes to stderr."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 2
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def test_only_standard_operators(graphs):
    for name, model in graphs.items():
        assert [item.domain for item in model.opset_import] == [""], name
        assert 18 <= model.opset_import[0].version <= 20, name
        assert model.ir_version <= 10, name
        assert {node.domain for node in model.graph.node} == {""}, name
        assert not operators(model).keys() & FORBIDDEN, name
        # How many boxes there are depends on the picture; faces.onnx runs on the CPU provider everywhere.
        assert "NonZero" not in operators(model) or name == "faces"


def test_loads_with_full_optimisation_and_without_a_word(graphs, capfd):
    for name, model in graphs.items():
        session_of(model)
        assert capfd.readouterr().err == "", name


def test_detector_loads_without_a_word(detector, capfd):
    session_of(detector)
    assert capfd.readouterr().err == ""


def test_detector_warps_once_a_level_and_encodes_once_a_frame(detector):
    found = operators(detector)
    # and once more where the classifier is shown the residual
    assert found["GridSample"] == 4 + found["AveragePool"]
    kernels = [node.input[1] for node in detector.graph.node if node.op_type == "Conv"]
    # Each kernel is used once: pyramids of both images of a pair come from one pass over the frames.
    assert len(kernels) == len(set(kernels))
    assert sum(kernel.startswith("pwcnet/pyramid/") for kernel in kernels) == 18
    # VGG16 has 13 convolutions, 10 of them in its first four blocks.
    assert sum(kernel.startswith("classifier/block") for kernel in kernels) in (10, 13)


def transposes_undone_at_a_pool(graph, made_by):
    """Return the two before the average of a residual's frames, which undo each other."""
    pools = [node for node in graph.node if node.op_type == "AveragePool"]
    assert len(pools) <= 1
    if not pools:
        return []
    second = made_by[pools[0].input[0]]
    pair = [made_by[second.input[0]], second]
    orders = [list(helper.get_attribute_value(node.attribute[0])) for node in pair]
    assert [orders[1][axis] for axis in orders[0]] == [0, 1, 2, 3]
    return pair


def test_convolutions_run_in_one_layout_from_end_to_end(detector):
    graph = detector.graph
    transposes = [node for node in graph.node if node.op_type == "Transpose"]
    inside = [node for node in transposes if "cost_volume/" in node.output[0]]
    made_by = {output: node for node in graph.node for output in node.output}
    undone = transposes_undone_at_a_pool(graph, made_by)
    at_edges = [node for node in transposes if node not in inside + undone]

    def ancestors(name):
        seen, waiting = set(), [name]
        while waiting:
            node = made_by.get(waiting.pop())
            if node is not None and node.output[0] not in seen:
                seen.add(node.output[0])
                waiting.extend(node.input)
        return {made_by[name].op_type for name in seen}

    # Five cost volumes of three; frames come in channels-last and flow goes out so.
    assert len(inside) == 15
    assert [list(helper.get_attribute_value(node.attribute[0])) for node in at_edges] in (
        [[0, 3, 1, 2], [0, 2, 3, 1]],
        [[0, 2, 3, 1], [0, 3, 1, 2]],
    )
    first = next(node for node in at_edges if "Conv" not in ancestors(node.output[0]))
    last = next(node for node in at_edges if node is not first)
    readers = [node for node in graph.node if last.output[0] in node.input]
    assert [node.op_type for node in readers] == ["Reshape"]
    assert list(readers[0].output) == ["flow"]


def test_paddings_are_part_of_the_convolutions(detector):
    pads = [node.output[0] for node in detector.graph.node if node.op_type == "Pad"]
    assert all("cost_volume" in name for name in pads)
    # One around image 2 and one for each of the nine rows, five times.
    assert len(pads) == 5 * (1 + 9)


def test_signature_of_the_detector(detector):
    def described(values):
        return {v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}

    size = described(detector.graph.input)["clips"][2]
    assert described(detector.graph.input) == {"clips": ["B", "T_plus_1", size, size, 3]}
    assert described(detector.graph.output) == {
        "pair_logits": ["B", "T"],
        "clip_logit": ["B"],
        "flow": ["B", "T", size // 4, size // 4, 2],
    }


def test_scores_do_not_depend_on_what_they_are_computed_with(detector):
    """Batch 1, 3 and 8, T 1, 4 and 16: the same pairs have the same logits and flow, bit for bit."""
    session = session_of(detector)
    size = session.get_inputs()[0].shape[2]
    generator = np.random.default_rng(0)
    frames, batch = (17, 8) if size == 64 else (5, 3)
    blocks = generator.integers(0, 256, (batch, frames, 8, 8, 3), dtype=np.uint8)
    clips = blocks.repeat(size // 8, axis=2).repeat(size // 8, axis=3)
    names = ["pair_logits", "flow", "clip_logit"]
    logits, flow, clip_logits = session.run(names, {"clips": clips})
    assert len({float(value) for value in logits.ravel()}) > logits.size // 2
    for first, last in ((0, 1), (1, 2), (0, 3), (batch - 1, batch)):
        some_logits, some_flow, some_clips = session.run(names, {"clips": clips[first:last]})
        np.testing.assert_array_equal(some_logits, logits[first:last])
        np.testing.assert_array_equal(some_flow, flow[first:last])
        np.testing.assert_array_equal(some_clips, clip_logits[first:last])
    for first, pairs in ((0, 1), (3, 1), (0, 4), (7, 4)):
        if first + pairs < frames:
            part = clips[:1, first : first + pairs + 1]
            some_logits, some_flow, _ = session.run(names, {"clips": part})
            np.testing.assert_array_equal(some_logits, logits[:1, first : first + pairs])
            np.testing.assert_array_equal(some_flow, flow[:1, first : first + pairs])


def test_clip_logit_is_the_mean_of_its_pairs(detector):
    session = session_of(detector)
    size = session.get_inputs()[0].shape[2]
    clips = np.random.default_rng(1).integers(0, 256, (2, 3, size, size, 3), dtype=np.uint8)
    logits, clip_logits = session.run(["pair_logits", "clip_logit"], {"clips": clips})
    wanted = logits.astype(np.float64).mean(axis=1)
    np.testing.assert_allclose(clip_logits, wanted, rtol=TOLERANCES["float32_rounding"].value)


def test_default_bundle_fits_into_git():
    assert sum(file.stat().st_size for file in DEFAULT.iterdir()) <= 30e6


def test_tiny_bundle_stays_tiny(tiny_bundle):
    assert sum(file.stat().st_size for file in tiny_bundle.iterdir()) < 300e3
