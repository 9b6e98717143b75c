"""`flowtell bench` as a user runs it, on the tiny bundle and the bundled samples."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from flowtell.benchmarks.graph_cost import graph_cost
from flowtell.benchmarks.pages import html_page, picture


def bench(*words):
    command = [sys.executable, "-m", "flowtell", "bench", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)


@pytest.fixture(scope="module")
def ran(tiny_bundle, tmp_path_factory):
    """A short run, its file, and its report."""
    path = tmp_path_factory.mktemp("bench") / "result.json"
    done = bench(
        *(tiny_bundle, "--scenario", "single_stream", "--pairs", 4, "--provider", "cpu"),
        *("--duration", 0.1, "--rounds", 3, "--out", path),
    )
    assert done.returncode in (0, 1), done.stderr
    return done, path, json.loads(path.read_text())


def test_a_run_says_whether_it_counts(ran):
    """Whether it does hangs on the machine; that the words, the exit code and the file agree does not."""
    done, _, report = ran
    assert done.returncode == (0 if report["valid"] else 1)
    assert done.stdout.rstrip().splitlines()[-1].startswith("VALID" if report["valid"] else "INVALID: ")
    assert bool(report["reasons"]) != report["valid"]
    assert "outputs alike" in done.stdout
    assert done.stderr == ""


def test_a_report_is_complete(ran):
    _, _, report = ran
    assert report["accuracy"]["passed"]
    assert "Keras" in report["accuracy"]["reference"]
    assert report["latency_ms"]["queries"] == len(report["latency_ms"]["all"]) >= 44
    assert report["latency_ms"]["p50"] <= report["latency_ms"]["p90_bound"]
    assert report["latency_ms"]["p99_bound"] is None
    counted, aside = len(report["samples_per_s"]["rounds"]), report["rounds_set_aside"]
    assert (counted, aside) in ((3, 0), (3, 1), (3, 2), (3, 3), (6, 0))  # all where too few would count
    assert report["pairs_per_s"] == pytest.approx(4 * report["samples_per_s"]["median"])
    # before, between and after the rounds that count; a gap between them has one more
    gaps = len(report["calibration_ms"]) - (counted + 1)
    assert 0 <= gaps <= min(aside, 2)
    assert report["machine"]["cores"] >= 1
    assert 0 < report["share_of_gemm_ceiling"] < 1
    assert all(value > 0 for value in report["cold_start"].values())
    assert list(report["stages_ms_per_pair"]) == ["decode", "faces", "crop", "detector"]
    assert all(value > 0 for value in report["stages_ms_per_pair"].values())
    assert "energy" not in report  # a CPU's is not measured


def test_an_hour_of_video_has_its_price(tiny_bundle, tmp_path):
    path = tmp_path / "offline.json"
    words = (tiny_bundle, "--pairs", 4, "--provider", "cpu", "--price", 0.5, "--scenario")
    short = ("--duration", 0.1, "--rounds", 3, "--out", path)
    # the others leave cores idle, or are as fast as they were told to be
    done = bench(*words, "server", *short)
    assert (done.returncode, path.exists()) == (2, False)
    assert "--price says nothing of server: it is of offline" in done.stderr
    done = bench(*words, "offline", *short)
    report = json.loads(path.read_text())
    seconds = 3600 * 30 / report["pairs_per_s"]
    assert report["cost"]["hour_of_video"] == pytest.approx(0.5 * seconds / 3600)
    assert f"costs {report['cost']['hour_of_video']:.3g}, every pair judged" in done.stdout


def test_results_become_a_page_in_one_file(ran, tmp_path):
    _, path, _ = ran
    page = tmp_path / "page.html"
    done = bench("report", path, "--out", page)
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert "data:image/png;base64," in text
    assert "result" in text
    assert "http" not in text
    assert "<tr><td>1 result<td>single_stream" in text


def test_the_ceiling_of_a_page_is_the_best_of_the_same_machine(ran):
    """Half of what was measured beside it is a fifth of the best ceiling of that machine's results."""
    _, _, report = ran
    ceiling = report["ceilings"]["gemm_gflops"]
    gflop = ceiling / 2 / report["samples_per_s"]["median"]
    report = report | {"detector_cost": report["detector_cost"] | {"gflop": gflop}}
    again = report | {"ceilings": report["ceilings"] | {"gemm_gflops": 2.5 * ceiling}}
    other = report | {"machine": report["machine"] | {"cpu": "quicker"}, "ceilings": {"gemm_gflops": 1e9}}
    page = html_page({"first": report, "again": again, "other": other}, b"")
    assert page.count("<td>20%<td>") == 2
    assert page.count("<td>0%<td>") == 1


def test_a_picture_takes_results_of_every_kind(ran):
    """Results of an older version without stages, an offline one without latencies, a wrong one."""
    _, _, report = ran
    older = {key: value for key, value in report.items() if key != "stages_ms_per_pair"}
    offline = report | {"load": report["load"] | {"scenario": "offline"}}
    wrong = report | {"valid": False, "accuracy": report["accuracy"] | {"verdict_flips": 2}}
    for reports in ({"older": older}, {"offline": offline}, {f"r{n}": wrong for n in range(12)}):
        assert picture(reports).startswith(b"\x89PNG")


def test_results_of_one_name_are_told_apart_by_their_folders(ran, tmp_path):
    paths = [tmp_path / name / "offline.json" for name in ("first", "second")]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(ran[1].read_bytes())
    done = bench("report", *paths, "--out", tmp_path / "page.html")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "page.html").read_text()
    assert all(path.with_suffix("").as_posix() in text for path in paths)
    done = bench("report", paths[0], paths[0], "--out", tmp_path / "page.html")
    assert done.returncode == 2
    assert "was named twice" in done.stderr


def test_what_cannot_be_done_is_said_before_anything_is_measured(tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    for words, says in (
        (("--out", tmp_path), "is a folder: name a file in it"),
        (("--out", tmp_path / "none" / "a.json"), "there is no folder"),
        (("--seed", "-1"), "invalid seed value: '-1'"),
        (("--pairs", "20"), "clips of this bundle have 16 pairs at most, and none has 20"),
        (("--video", broken), "broken.mp4': "),
    ):
        done = bench("--scenario", "offline", *words)
        assert done.returncode == 2
        assert says in done.stderr


def test_a_page_of_another_kind_is_refused(ran, tmp_path):
    done = bench("report", ran[1], "--out", tmp_path / "page.pdf")
    assert done.returncode == 2
    assert "must end in .html or .png" in done.stderr


def test_options_of_another_load_are_refused(tmp_path):
    done = bench("--scenario", "offline", "--streams", "4", "--out", tmp_path / "a.json")
    assert done.returncode == 2
    assert "--streams says nothing of offline: it is of multi_stream" in done.stderr
    assert not (tmp_path / "a.json").exists()


def test_what_is_no_result_is_refused(ran, tmp_path):
    other = tmp_path / "other.json"
    other.write_text("{}")
    done = bench("compare", ran[1], other)
    assert done.returncode == 2
    assert "is no result of this version's 'flowtell bench'" in done.stderr


def test_a_planted_wrong_output_is_not_timed(tiny_bundle_copy):
    """The graph takes its logits times 1.01; the Keras models rebuilt from its weights know nothing of it."""
    path = tiny_bundle_copy / "detector.onnx"
    model = onnx.load(path)
    for node in model.graph.node:
        for index, name in enumerate(node.output):
            if name == "pair_logits":
                node.output[index] = "right_logits"
        for index, name in enumerate(node.input):
            if name == "pair_logits":
                node.input[index] = "right_logits"
    assert any("right_logits" in node.output for node in model.graph.node)
    model.graph.initializer.append(numpy_helper.from_array(np.float32(1.01), "gain"))
    model.graph.node.append(helper.make_node("Mul", ["right_logits", "gain"], ["pair_logits"]))
    data = model.SerializeToString()
    path.write_bytes(data)
    manifest = json.loads((tiny_bundle_copy / "manifest.json").read_text())
    entry = manifest["graphs"]["detector"]["fp32"]
    entry.update(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
    (tiny_bundle_copy / "manifest.json").write_text(json.dumps(manifest))
    done = bench(tiny_bundle_copy, "--scenario", "offline", "--pairs", 4)
    assert done.returncode == 1, done.stderr
    assert "outputs NOT alike" in done.stdout
    assert "nothing was timed" in done.stdout


def test_a_provider_is_not_compared_with_itself(tiny_bundle):
    done = bench(tiny_bundle, "--scenario", "offline", "--provider", "cpu", "--reference", "cpu")
    assert done.returncode == 2
    assert "not compared with itself" in done.stderr


def test_operations_are_counted_from_the_shapes():
    """A 3x3 convolution from 20 to 50 channels on 80x80, 180 products an output; and 400x60 times 60x70."""
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["out"], pads=[1, 1, 1, 1]),
        helper.make_node("MatMul", ["left", "right"], ["product"]),
    ]
    shapes = {"image": [1, 20, 80, 80], "kernel": [50, 20, 3, 3], "left": [400, 60], "right": [60, 70]}
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("out", "product")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    feeds = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    cost = graph_cost(model.SerializeToString(), feeds)
    assert cost.gflop == pytest.approx(2e-9 * (6400 * 50 * 180 + 400 * 70 * 60), abs=5e-4)
