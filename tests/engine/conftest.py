"""Fixtures of the engine's tests: a real face to film, and a detector that can be worked out by hand."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from processes import children_of

from flowtell import Detector, Result, _frames, samples
from flowtell._decode import VideoReader

Image = NDArray[np.uint8]

MOTION_GAIN, MOTION_OFFSET = 0.5, -2.0
"""A pair logit of the motion detector is GAIN * mean absolute difference of the crops in levels + OFFSET."""


@pytest.fixture
def fresh_decoders() -> Iterator[None]:
    """Begin without idle decoders and leave none."""
    _frames._pool.close()
    _frames._pool.__init__()  # type: ignore[misc]
    yield
    _frames._pool.close()
    _frames._pool.__init__()  # type: ignore[misc]
    assert not children_of(os.getpid())


def our_threads() -> set[threading.Thread]:
    """Return the engine's threads in this process."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("flowtell")}


@pytest.fixture
def leaves_no_thread() -> Iterator[None]:
    """See to it that the test ends every thread of the engine that it began."""
    gc.collect()
    before = our_threads()
    yield
    gc.collect()
    assert our_threads() <= before


@pytest.fixture
def openvino() -> Any:
    """OpenVINO; a test that asks for it is skipped where it is not installed."""
    return pytest.importorskip("openvino", reason="the extra openvino is not installed")


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own, and no provider named by the environment."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("FLOWTELL_PROVIDER")
    return tmp_path / "flowtell"


@pytest.fixture(scope="session")
def portrait() -> Image:
    """First frame of the natural sample, `uint8 [480, 480, 3]`: one face of about 230 px."""
    with VideoReader(samples.natural_path()) as reader:
        return next(iter(reader)).image


@pytest.fixture(scope="session")
def motion_detector() -> onnx.ModelProto:
    """A detector graph in the bundle format's terms whose logits measure nothing but motion; S = 64."""
    return motion_detector_graph()


@pytest.fixture(scope="session")
def motion_bundle(tiny_bundle: Path, motion_detector: onnx.ModelProto, tmp_path_factory: Any) -> Path:
    """A bundle with the real graphs up to the crop and the motion detector; threshold 0.5."""
    folder = Path(tmp_path_factory.mktemp("motion"))
    for name in ("faces.onnx", "cuts.onnx", "crop.onnx"):
        shutil.copy(tiny_bundle / name, folder / name)
    (folder / "detector.onnx").write_bytes(motion_detector.SerializeToString())
    write_manifest(folder, ("faces", "cuts", "crop", "detector"))
    return folder


@pytest.fixture(scope="module")
def motion(motion_bundle: Path) -> Detector:
    """The detector of the motion bundle."""
    return Detector.open(motion_bundle)


@pytest.fixture(scope="module")
def sample_result(motion: Detector) -> Result:
    """What it says about the natural sample."""
    return motion.detect(samples.natural_path())


@pytest.fixture
def broken_sample(tmp_path: Path) -> Path:
    """The natural sample with a hole in the middle of its pictures."""
    data = bytearray(samples.natural_path().read_bytes())
    start = data.index(b"mdat")
    middle = start + (len(data) - start) // 2
    data[middle : middle + 3000] = bytes(3000)
    path = tmp_path / "cut.mp4"
    path.write_bytes(data)
    return path


@pytest.fixture
def bundle_copy(motion_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the motion bundle that a test may damage."""
    return Path(shutil.copytree(motion_bundle, tmp_path / "bundle"))


@pytest.fixture
def rewrite_manifest() -> Callable[..., dict[str, Any]]:
    """Return `rewrite(folder, change)`: reads the manifest, lets `change` alter it, and writes it back."""

    def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        path = folder / "manifest.json"
        document = json.loads(path.read_text(encoding="utf-8"))
        change(document)
        path.write_text(json.dumps(document), encoding="utf-8")
        return dict(document)

    return rewrite


@pytest.fixture
def replace_graph(rewrite_manifest: Callable[..., dict[str, Any]]) -> Callable[..., None]:
    """Return `replace(folder, graph, data)`: puts `data` in place of a graph, with a manifest that agrees."""

    def replace(folder: Path, graph: str, data: bytes) -> None:
        (folder / f"{graph}.onnx").write_bytes(data)
        rewrite_manifest(folder, lambda m: m["graphs"].update({graph: {"fp32": file_entry(folder, graph)}}))

    return replace


def write_manifest(folder: Path, graphs: tuple[str, ...], crop_size: int = 64) -> None:
    document = {
        "format": 2,
        "name": "motion",
        "licence": "Apache-2.0, for tests",
        "colour_order": "RGB",
        "crop_size": crop_size,
        "pairs_per_clip": 16,
        "crop_margin": 1.3,
        "face_score_threshold": 0.6,
        "flow_encoding": "uv",
        "weights_storage": "fp32",
        "graphs": {name: {"fp32": file_entry(folder, name)} for name in graphs},
        "temperature": 1.0,
        "thresholds": [{"fake_probability": 0.5, "operating_point": "more motion than stillness"}],
        "training_data": [{"name": "none", "terms": "none"}],
        "certificates": [],
    }
    (folder / "manifest.json").write_text(json.dumps(document), encoding="utf-8")


def file_entry(folder: Path, graph: str) -> dict[str, Any]:
    data = (folder / f"{graph}.onnx").read_bytes()
    return {"file": f"{graph}.onnx", "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def motion_detector_graph() -> onnx.ModelProto:
    def ints(name: str, values: list[int]) -> onnx.TensorProto:
        return numpy_helper.from_array(np.array(values, dtype=np.int64), name)

    def scalar(name: str, value: float) -> onnx.TensorProto:
        return numpy_helper.from_array(np.array(value, dtype=np.float32), name)

    nodes = [
        helper.make_node("Cast", ["clips"], ["levels"], to=TensorProto.FLOAT),
        helper.make_node("Slice", ["levels", "from_0", "to_last", "axis_1"], ["before"]),
        helper.make_node("Slice", ["levels", "from_1", "to_end", "axis_1"], ["after"]),
        helper.make_node("Sub", ["after", "before"], ["change"]),
        helper.make_node("Abs", ["change"], ["motion"]),
        helper.make_node("ReduceMean", ["motion", "pixels"], ["mean_motion"], keepdims=0),
        helper.make_node("Mul", ["mean_motion", "gain"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["pair_logits"]),
        helper.make_node("ReduceMean", ["pair_logits", "axis_1"], ["clip_logit"], keepdims=0),
        helper.make_node("Slice", ["change", "from_00", "to_ends", "rows_columns", "every_4th"], ["quarter"]),
        helper.make_node("Slice", ["quarter", "from_0", "to_2", "last_axis"], ["flow"]),
    ]
    initialisers = [
        ints("from_0", [0]),
        ints("from_1", [1]),
        ints("to_last", [-1]),
        ints("to_end", [1 << 30]),
        ints("axis_1", [1]),
        ints("pixels", [2, 3, 4]),
        ints("from_00", [0, 0]),
        ints("to_ends", [64, 64]),
        ints("rows_columns", [2, 3]),
        ints("every_4th", [4, 4]),
        ints("to_2", [2]),
        ints("last_axis", [4]),
        scalar("gain", MOTION_GAIN),
        scalar("offset", MOTION_OFFSET),
    ]
    graph = helper.make_graph(
        nodes,
        "motion_detector",
        [helper.make_tensor_value_info("clips", TensorProto.UINT8, ["B", "frames", 64, 64, 3])],
        [
            helper.make_tensor_value_info("pair_logits", TensorProto.FLOAT, ["B", "T"]),
            helper.make_tensor_value_info("clip_logit", TensorProto.FLOAT, ["B"]),
            helper.make_tensor_value_info("flow", TensorProto.FLOAT, ["B", "T", 16, 16, 2]),
        ],
        initialisers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


@pytest.fixture(scope="session")
def motion_logit() -> Callable[[Image, Image], float]:
    """Return the plain definition of the motion detector's pair logit for two crops."""

    def logit(before: Image, after: Image) -> float:
        return MOTION_GAIN * float(np.abs(after.astype(float) - before.astype(float)).mean()) + MOTION_OFFSET

    return logit
