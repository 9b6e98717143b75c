"""`flowtell plan`, as a user runs it on a machine without a GPU."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import re
import signal
import subprocess
import sys
import time

import onnx
import pytest
from onnx import TensorProto, helper

import flowtell
from flowtell.__main__ import main
from flowtell._cli_progress import TerminalLine
from flowtell._nvidia import NoGpuError, first_gpu
from flowtell._plan_cache import PlanCache

if importlib.util.find_spec("tensorrt_rtx_bindings") is None:
    pytest.skip(
        f"tensorrt_rtx_cu13_bindings is not installed (it has no wheels for {platform.machine()}?)",
        allow_module_level=True,
    )

import tensorrt_rtx_bindings as trt

NO_DRIVER = "the NVIDIA driver (libcuda.so.1) is not there"


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "cache" / "flowtell" / "plans"


@pytest.fixture
def quick_bundle(tiny_bundle_copy):
    """The tiny bundle with two detectors that take no time to build; the int8 one is none for TensorRT."""
    replace_detector(tiny_bundle_copy, "fp32", "ReduceMean")
    replace_detector(tiny_bundle_copy, "int8", "ReduceNothing")
    return tiny_bundle_copy


def replace_detector(folder, precision, operator):
    """Put a graph of one operator, which need not exist, in the detector's place."""
    nodes = [
        helper.make_node("Cast", ["clips"], ["levels"], to=TensorProto.FLOAT),
        helper.make_node(operator, ["levels"], ["pair_logits"], keepdims=1),
    ]
    graph = helper.make_graph(
        nodes,
        "quick",
        [helper.make_tensor_value_info("clips", TensorProto.UINT8, ["B", "N", 64, 64, 3])],
        [helper.make_tensor_value_info("pair_logits", TensorProto.FLOAT, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    path = folder / f"detector-{precision}.onnx"
    onnx.save(model, path)
    data = path.read_bytes()
    manifest = json.loads((folder / "manifest.json").read_text())
    entry = {"file": path.name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    manifest["graphs"]["detector"][precision] = entry
    (folder / "manifest.json").write_text(json.dumps(manifest))


def plan(capsys, *words):
    code = main(["plan", *(str(word) for word in words)])
    return code, *capsys.readouterr()


def plan_json(capsys, *words):
    code, out, err = plan(capsys, *words, "--json")
    assert err == ""
    return code, json.loads(out)


def test_builds_once_and_finds_it_again(capsys, quick_bundle, own_cache):
    words = (quick_bundle, "--precision", "fp32", "--compute-capability", "8.6", "8.9")
    code, first = plan_json(capsys, *words)
    assert (code, first["backend"], first["version"]) == (0, "tensorrt_rtx", trt.__version__)
    assert [(row["graph"], row["precision"], row["state"]) for row in first["plans"]] == [
        ("detector", "fp32", "built"),
        ("detector", "fp32", "built"),
    ]
    assert [row["compute_capability"] for row in first["plans"]] == ["8.6", "8.9"]
    assert all(row["plan_bytes"] > 1000 and row["build_s"] > 0 for row in first["plans"])
    assert {row["path"] for row in first["plans"]} == {str(path) for path in own_cache.glob("*.plan")}
    code, again = plan_json(capsys, *words)
    assert (code, [row["state"] for row in again["plans"]]) == (0, ["in cache"] * 2)
    assert [row["plan_bytes"] for row in again["plans"]] == [row["plan_bytes"] for row in first["plans"]]


def test_what_does_not_match_is_built_again_and_said(capsys, quick_bundle, own_cache):
    words = (quick_bundle, "--precision", "fp32", "--compute-capability", "8.6")
    plan(capsys, *words)
    (path,) = own_cache.glob("*.plan")
    path.write_bytes(path.read_bytes()[:-1])
    code, out, err = plan(capsys, *words)
    assert (code, err) == (0, "")
    assert " rebuilt " in out
    assert f"'{path}' was not made here, or was changed since" in out
    assert plan_json(capsys, *words)[1]["plans"][0]["state"] == "in cache"


def test_another_graph_has_another_plan(capsys, quick_bundle, own_cache):
    words = (quick_bundle, "--precision", "fp32", "--compute-capability", "8.6")
    plan(capsys, *words)
    replace_detector(quick_bundle, "fp32", "ReduceMax")
    assert plan_json(capsys, *words)[1]["plans"][0]["state"] == "built"
    assert len(list(own_cache.glob("*.plan"))) == 2


def test_a_graph_that_tensorrt_refuses_is_said_and_the_others_are_built(capsys, quick_bundle, own_cache):
    code, report = plan_json(capsys, quick_bundle, "--compute-capability", "8.6")
    assert code == 1
    states = {row["precision"]: row for row in report["plans"]}
    assert states["fp32"]["state"] == "built"
    assert states["int8"]["state"] == "refused"
    assert states["int8"]["reason"].startswith(
        f"TensorRT-RTX {trt.__version__} builds no plan of 'detector-int8.onnx' for compute capability 8.6: "
    )
    assert "ReduceNothing" in states["int8"]["reason"]
    assert len(list(own_cache.glob("*.plan"))) == 1


def test_without_a_gpu_its_compute_capability_must_be_said(capsys, quick_bundle, own_cache):
    if has_gpu():
        pytest.skip("this machine has a GPU")
    code, out, err = plan(capsys, quick_bundle)
    hint = "name a GPU's compute capability with --compute-capability"
    assert (code, out, err) == (2, "", f"flowtell: there is no CUDA GPU to build for, {NO_DRIVER}: {hint}\n")
    assert not own_cache.exists()


def has_gpu():
    try:
        first_gpu()
    except NoGpuError as error:
        assert str(error)
        return False
    return True


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--compute-capability", "9.0"], r"builds for the compute capabilities 7\.5, .*, not for 9\.0"),
        (["--backend", "tensorrt"], "no tensorrt is installed: pip install"),
        (["--precision", "fp16"], "has no detector graph in fp16, but in fp32, int8"),
    ],
)
def test_wrong_usage_is_a_sentence(capsys, quick_bundle, own_cache, words, says):
    code, out, err = plan(capsys, quick_bundle, *words)
    assert (code, out) == (2, "")
    assert err.startswith("flowtell: ")
    assert err.count("\n") == 1
    assert re.search(says, err), err
    assert not own_cache.exists()


def test_needs_no_tensorflow_and_no_onnx(quick_bundle, own_cache):
    code = (
        "import sys\nfor name in ('tensorflow', 'keras', 'onnx', 'tf2onnx', 'onnxruntime'):\n"
        "    sys.modules[name] = None\nfrom flowtell.__main__ import main\nsys.exit(main(sys.argv[1:]))"
    )
    words = ["plan", str(quick_bundle), "--precision", "fp32", "--compute-capability", "8.6"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert " built " in done.stdout


def test_builders_wait_for_each_other_and_build_once(quick_bundle, own_cache):
    words = [sys.executable, "-m", "flowtell", "plan", str(quick_bundle), "--precision", "fp32"]
    words += ["--compute-capability", "8.6", "--json"]
    both = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for _ in range(2)]
    states = [json.loads(builder.communicate()[0])["plans"][0]["state"] for builder in both]
    assert sorted(states) == ["built", "in cache"]


def test_sigkill_while_it_builds_leaves_no_plan_and_no_lock(capsys, tiny_bundle, quick_bundle, own_cache):
    words = [sys.executable, "-m", "flowtell", "plan", str(tiny_bundle), "--compute-capability", "8.6"]
    with subprocess.Popen(words) as builder:
        while not (own_cache / "lock").exists():
            time.sleep(0.01)
        time.sleep(1)
        builder.send_signal(signal.SIGKILL)
    assert [path.name for path in own_cache.iterdir()] == ["lock"]
    assert plan(capsys, quick_bundle, "--precision", "fp32", "--compute-capability", "8.6")[0] == 0


@pytest.fixture
def heard_interrupts():
    """Python's own handler of Ctrl-C: a job in the background starts with none."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard_interrupts")
def test_an_interrupt_ends_the_build_and_leaves_no_plan(capsys, quick_bundle, own_cache, monkeypatch):
    interrupts = iter([signal.SIGINT])

    def draw(self, text):
        # a second one would interrupt what cleans up after the first
        for interrupt in interrupts:
            os.kill(os.getpid(), interrupt)

    monkeypatch.setattr(TerminalLine, "draw", draw)
    code, out, err = plan(capsys, quick_bundle, "--precision", "fp32", "--compute-capability", "8.6")
    assert (code, out, err) == (130, "", "flowtell: interrupted\n")
    assert [path.name for path in own_cache.iterdir()] == ["lock"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_plans_of_the_command_are_what_the_engine_reads(capsys, quick_bundle, own_cache):
    plan(capsys, quick_bundle, "--precision", "fp32", "--compute-capability", "8.6")
    (path,) = own_cache.glob("*.plan")
    key_line = path.read_bytes().split(b"\n", 3)[2]
    bundle = flowtell.Bundle.open(quick_bundle)
    key = flowtell._plan_key.PlanKey(**json.loads(key_line))
    assert key.graph_sha256 == bundle.manifest.graphs["detector"]["fp32"].sha256
    # what TensorRT's own plans begin with
    assert PlanCache.open().read(key)[1:4] == b"trt"
