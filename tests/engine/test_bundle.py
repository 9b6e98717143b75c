"""Bundles from anywhere: the good one opens, each hostile one is refused with one sentence of its own."""

from __future__ import annotations

import hashlib
import os
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import flowtell
from flowtell import Bundle, BundleError, Detector, InputError
from flowtell.__main__ import main
from flowtell._bundle import bundle_from_argument


def refused(folder, *says):
    """Check that opening and reading everything fails with a single sentence that holds all of `says`."""
    with pytest.raises(BundleError) as caught:
        Bundle.open(folder).verify()
    message = str(caught.value)
    assert "\n" not in message
    for word in says:
        assert word in message


def test_opens_and_verifies(motion_bundle):
    bundle = Bundle.open(motion_bundle)
    bundle.verify()
    assert bundle.sha256 == hashlib.sha256((motion_bundle / "manifest.json").read_bytes()).hexdigest()
    assert bundle.precisions("detector") == ("fp32",)
    assert bundle.precisions("flow") == ()
    assert bundle.read_graph("faces") == (motion_bundle / "faces.onnx").read_bytes()


def test_argument_may_be_open_or_a_folder(motion_bundle):
    bundle = Bundle.open(motion_bundle)
    assert bundle_from_argument(bundle) is bundle
    assert bundle_from_argument(str(motion_bundle)).sha256 == bundle.sha256
    with pytest.raises(InputError, match="not int"):
        bundle_from_argument(3)
    with pytest.raises(InputError, match="named by a str or a path, not by 3"):
        Bundle.open(3)


def test_missing_folder_manifest_and_graph(tmp_path, bundle_copy):
    refused(tmp_path / "nowhere", "there is no bundle")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "has no 'manifest.json'")
    (bundle_copy / "crop.onnx").unlink()
    refused(bundle_copy, "has no 'crop.onnx'")


def test_a_folder_that_cannot_be_looked_at(tmp_path, capsys):
    refused(tmp_path / ("x" * 300), f"the bundle at '{tmp_path}", "cannot be opened: File name too long")
    (tmp_path / "loop").symlink_to("loop")
    refused(tmp_path / "loop", "/loop' cannot be opened: Too many levels of symbolic links")
    refused(tmp_path / "null\0", "there is no bundle")
    assert main(["info", "x" * 300]) == 2
    said = f"flowtell: the bundle at '{'x' * 200}...' cannot be opened: File name too long\n"
    assert capsys.readouterr() == ("", said)


@pytest.mark.skipif(getattr(os, "geteuid", int)() == 0, reason="root may look into every folder")
def test_a_folder_that_the_user_may_not_look_into(bundle_copy):
    bundle_copy.parent.chmod(0)
    try:
        refused(bundle_copy, "cannot be opened: Permission denied")
    finally:
        bundle_copy.parent.chmod(0o700)


def test_graph_or_precision_that_the_bundle_lacks(motion_bundle):
    bundle = Bundle.open(motion_bundle)
    with pytest.raises(BundleError, match="no classifier graph in fp32"):
        bundle.read_graph("classifier")
    with pytest.raises(BundleError, match="no detector graph in int8"):
        bundle.read_graph("detector", "int8")


@pytest.mark.parametrize("name", ["manifest.json", "crop.onnx"])
def test_links_are_refused_even_to_the_right_bytes(bundle_copy, tmp_path, name):
    outside = tmp_path / "outside"
    (bundle_copy / name).rename(outside)
    (bundle_copy / name).symlink_to(outside)
    refused(bundle_copy, name, "is a link")


@pytest.mark.parametrize("name", ["manifest.json", "crop.onnx"])
def test_pipes_and_folders_are_refused_without_waiting(bundle_copy, name):
    (bundle_copy / name).unlink()
    os.mkfifo(bundle_copy / name)
    refused(bundle_copy, name, "not a regular file")
    (bundle_copy / name).unlink()
    (bundle_copy / name).mkdir()
    refused(bundle_copy, name, "not a regular file")


def test_unreadable_manifest(bundle_copy):
    (bundle_copy / "manifest.json").write_bytes(b"x" * ((1 << 20) + 1))
    refused(bundle_copy, "1048577 bytes", "at most 1048576")


@pytest.mark.parametrize(
    "name", ["../crop.onnx", "/etc/crop.onnx", "a/../crop.onnx", "..\\crop.onnx", "x\x00.onnx"]
)
def test_a_path_in_a_file_name_is_refused_before_any_file_is_opened(bundle_copy, rewrite_manifest, name):
    (bundle_copy / "crop.onnx").unlink()
    rewrite_manifest(bundle_copy, lambda m: m["graphs"]["crop"]["fp32"].update(file=name))
    refused(bundle_copy, "plain file name")


def test_altered_grown_and_cut_graphs(bundle_copy):
    path = bundle_copy / "crop.onnx"
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    refused(bundle_copy, "crop.onnx", "SHA-256 differs")
    path.write_bytes(data + b"\0")
    refused(bundle_copy, f"{len(data) + 1} bytes", f"manifest says {len(data)}")
    path.write_bytes(data[:100])
    refused(bundle_copy, "has 100 bytes")


def test_a_file_over_the_size_limit_is_refused_before_it_is_read(bundle_copy):
    with (bundle_copy / "crop.onnx").open("r+b") as file:
        file.truncate((1 << 29) + 1)
    refused(bundle_copy, "536870913 bytes", "at most 536870912")


def test_truncated_and_foreign_graphs_with_honest_hashes(bundle_copy, replace_graph):
    data = (bundle_copy / "crop.onnx").read_bytes()
    for broken in (
        data[: len(data) // 2],
        b"PK\x03\x04 a keras file",
        b"\x89HDF\r\n\x1a\n",
        b"\x80\x04pickle",
    ):
        replace_graph(bundle_copy, "crop", broken)
        refused(bundle_copy, "'crop.onnx' is not an ONNX model")


def external(model):
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "far")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    model.graph.initializer.append(tensor)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (external, "keeps the tensor 'far' outside itself"),
        (lambda m: m.graph.node.append(helper.make_node("Run", [], ["z"], domain="com.evil")), "'com.evil'"),
        (lambda m: m.opset_import.append(helper.make_opsetid("com.microsoft", 1)), "'com.microsoft'"),
        (lambda m: setattr(m, "ir_version", 11), "IR version 11"),
        (lambda m: setattr(m.opset_import[0], "version", 17), "opset 17"),
        (lambda m: setattr(m.opset_import[0], "version", 21), "opset 21"),
        (lambda m: m.ClearField("opset_import"), "opset none"),
        (lambda m: m.ClearField("graph"), "no graph"),
    ],
)
def test_graphs_outside_the_format(bundle_copy, replace_graph, motion_detector, change, says):
    model = onnx.ModelProto()
    model.CopyFrom(motion_detector)
    change(model)
    replace_graph(bundle_copy, "detector", model.SerializeToString())
    refused(bundle_copy, "'detector.onnx'", says)


def renamed_output(model):
    model.graph.output[0].name = "logits"
    model.graph.node[7].output[0] = "logits"
    model.graph.node[8].input[0] = "logits"


def float_input(model):
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT


def second_input(model):
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))
    model.graph.node.append(helper.make_node("Identity", ["more"], ["unused"]))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (renamed_output, "must have the output 'pair_logits'"),
        (float_input, "must have the input 'clips'"),
        (second_input, "wants inputs"),
    ],
)
def test_graphs_with_other_inputs_or_outputs(bundle_copy, replace_graph, motion_detector, change, says):
    model = onnx.ModelProto()
    model.CopyFrom(motion_detector)
    change(model)
    replace_graph(bundle_copy, "detector", model.SerializeToString())
    with pytest.raises(BundleError, match=says):
        Detector.open(bundle_copy)


def test_a_graph_that_the_runtime_refuses(bundle_copy, replace_graph, motion_detector):
    model = onnx.ModelProto()
    model.CopyFrom(motion_detector)
    model.graph.node[0].op_type = "NoSuchOperator"
    replace_graph(bundle_copy, "detector", model.SerializeToString())
    with pytest.raises(flowtell.ProviderError, match=r"cannot load 'detector\.onnx'"):
        Detector.open(bundle_copy)


def test_no_file_outside_the_bundle_is_opened(bundle_copy, rewrite_manifest, tmp_path):
    """Watch every open the interpreter makes while bundles that point elsewhere are refused."""
    secret = tmp_path / "secret.onnx"
    secret.write_bytes(b"secret")
    opened = []
    watching = [True]
    sys.addaudithook(
        lambda event, args: opened.append(str(args[0])) if watching[0] and event == "open" else None
    )
    for name in ("../secret.onnx", str(secret)):
        rewrite_manifest(bundle_copy, lambda m, n=name: m["graphs"]["crop"]["fp32"].update(file=n))
        refused(bundle_copy, "plain file name")
    (bundle_copy / "faces.onnx").unlink()
    (bundle_copy / "faces.onnx").symlink_to(secret)
    rewrite_manifest(bundle_copy, lambda m: m["graphs"]["crop"]["fp32"].update(file="crop.onnx"))
    refused(bundle_copy, "is a link")
    watching[0] = False
    assert any("manifest.json" in path for path in opened)
    assert not any("secret" in path for path in opened)
