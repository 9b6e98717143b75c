"""The gate catches faults planted in a bundle and names the stage, the block and the clip; good ones pass."""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from hostile_bundles import add_detector, replace, rewrite
from onnx import numpy_helper
from tolerances import TOLERANCES

import flowtell
from flowtell import Bundle, InputError, samples
from flowtell.__main__ import main
from flowtell.export._bundle_folder import require_replaceable
from flowtell.export.bundle import facts_from_bundle, keras_from_bundle, write_bundle
from flowtell.export.derivation import derive_bundle
from flowtell.export.gate import GateRefusedError, judge_precision
from flowtell.export.gate_clips import clips_of_files
from flowtell.export.limits import LIMITS, Limit

PAIRS = 2
# Random weights amplify rounding more than trained ones: the tiny model gets room for its logits, and for its
# flow where 8 bits are left.
ROOM = TOLERANCES["tiny_precision_room"].value
TINY_LIMITS = LIMITS | {
    precision: {
        name: Limit(limit.value * ROOM if part in name else limit.value, limit.unit, limit.reason)
        for name, limit in LIMITS[precision].items()
    }
    for precision, part in (("fp16", "logit"), ("bf16", "_"), ("int8", "logit"))
}


@pytest.fixture(scope="module")
def clips(tiny_bundle):
    """One short clip of the natural sample."""
    return list(clips_of_files([samples.natural_path()], Bundle.open(tiny_bundle), 1, PAIRS))


@pytest.fixture(scope="module")
def right(tiny_bundle):
    """The Keras models that the tiny bundle came from."""
    return keras_from_bundle(tiny_bundle)


@pytest.fixture(scope="module")
def derived(tiny_bundle, tmp_path_factory):
    """The tiny bundle with all precisions."""
    folder = tmp_path_factory.mktemp("derived") / "bundle"
    derive_bundle(
        tiny_bundle, folder, ["fp16", "bf16", "int8"], [samples.natural_path()], 1, PAIRS, limits=TINY_LIMITS
    )
    return folder


@pytest.fixture
def copy(derived, tmp_path):
    """A copy of it to plant a fault in."""
    return shutil.copytree(derived, tmp_path / "bundle")


def constant(model, name):
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def change(model, name, function):
    tensor = constant(model, name)
    tensor.CopyFrom(numpy_helper.from_array(function(numpy_helper.to_array(tensor)), name))


def node_making(model, name):
    return next(node for node in model.graph.node if name in node.output)


def wrong_sign_of_the_warp(model):
    for add in [node for node in model.graph.node if node.output[0].startswith("warp/add")]:
        add.op_type = "Sub"
        position, flow = add.input[1], add.input[0]
        add.input[:] = [position, flow]


def bgr_for_rgb(model):
    name = "pwcnet/pyramid/1_0/conv/kernel/float16"
    change(model, name, lambda kernel: np.ascontiguousarray(kernel[:, ::-1]))


def half_a_pixel_in_the_classifiers_resize(model):
    matrix = node_making(model, "classifier/resize/MatMul").input[0]
    change(model, matrix, lambda rows: (rows + np.roll(rows, 1, axis=1)) / np.float32(2))


def half_a_pixel_in_the_crop(model):
    resize = next(node for node in model.graph.node if node.op_type == "Resize")
    resize.attribute.append(onnx.helper.make_attribute("coordinate_transformation_mode", "asymmetric"))


def bgr_for_rgb_in_the_crop(model):
    stacked = node_making(model, "crop")
    swapped = onnx.helper.make_node("Gather", ["crop/rgb", "reversed"], ["crop"], axis=2)
    stacked.output[0] = "crop/rgb"
    model.graph.node.append(swapped)
    model.graph.initializer.append(numpy_helper.from_array(np.array([2, 1, 0]), "reversed"))


def height_for_width_in_the_crop(model):
    index, size = next((i, n) for i, n in enumerate(model.graph.node) if n.op_type == "Slice")
    swapped = onnx.helper.make_node("Gather", ["height_width", "reversed"], list(size.output))
    size.output[0] = "height_width"
    model.graph.node.insert(index + 1, swapped)
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 0]), "reversed"))


@pytest.mark.parametrize(
    ("graph", "fault", "stage", "block"),
    [
        ("crop", half_a_pixel_in_the_crop, "crop", None),
        ("crop", bgr_for_rgb_in_the_crop, "crop", None),
        ("crop", height_for_width_in_the_crop, "crop", None),
        ("detector", wrong_sign_of_the_warp, "flow", "warp"),
        ("detector", bgr_for_rgb, "flow", "pyramid level 1"),
        ("detector", half_a_pixel_in_the_classifiers_resize, "classifier", "resize"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_planted_fault_is_caught_at_its_stage(tiny_bundle_copy, right, clips, graph, fault, stage, block):
    model = onnx.load(tiny_bundle_copy / f"{graph}.onnx")
    fault(model)
    replace(tiny_bundle_copy, graph, model.SerializeToString())
    verdict = judge_precision(right, Bundle.open(tiny_bundle_copy), "fp32", clips)
    assert verdict.stage == stage
    assert (verdict.difference.block if verdict.difference else None) == block
    with pytest.raises(GateRefusedError, match=f"stage '{stage}'.*natural.mp4 at 0.00 s"):
        verdict.require_pass()


def test_a_clips_own_logit_is_judged_by_more_than_its_verdict(tiny_bundle_copy, right, clips):
    """What comes after the pairs' logits, an LSTM say, goes wrong where no pair and no verdict does."""
    model = onnx.load(tiny_bundle_copy / "detector.onnx")
    made = node_making(model, "clip_logit")
    made.output[0] = "clip_logit/right"
    model.graph.node.append(onnx.helper.make_node("Add", ["clip_logit/right", "shift"], ["clip_logit"]))
    model.graph.initializer.append(numpy_helper.from_array(np.float32(0.01), "shift"))
    replace(tiny_bundle_copy, "detector", model.SerializeToString())
    verdict = judge_precision(right, Bundle.open(tiny_bundle_copy), "fp32", clips)
    assert verdict.stage == "score"
    assert verdict.beyond == ["clip_logit"]
    with pytest.raises(GateRefusedError, match="stage 'score': clip_logit"):
        verdict.require_pass()


def test_one_wrong_scale_is_caught_in_the_classifier(copy, right, clips):
    model = onnx.load(copy / "detector-int8.onnx")
    change(model, "classifier/block3/conv2/kernel/scale", lambda scale: scale * np.float32(2))
    add_detector(copy, "int8", model.SerializeToString())
    judged = judge_precision(right, Bundle.open(copy), "int8", clips, TINY_LIMITS)
    assert judged.stage == "classifier"
    assert judged.difference.block == "classifier block 3"


def test_every_precision_is_certified_and_runs(derived):
    bundle = Bundle.open(derived)
    bundle.verify()
    assert bundle.precisions("detector") == ("fp32", "fp16", "bf16", "int8")
    found = {certificate["precision"]: certificate for certificate in bundle.manifest.certificates}
    assert set(found) == {"fp32", "fp16", "bf16", "int8"}
    for precision, certificate in found.items():
        assert certificate["detector_sha256"] == bundle.manifest.graphs["detector"][precision].sha256
        assert certificate["provider"] == "CPUExecutionProvider"
        assert certificate["cpu"]
        assert certificate["versions"]["onnxruntime"]
        assert certificate["figures"]["verdict_flips"] == 0
        if precision == "bf16":
            assert certificate["arithmetic"] == "every bfloat16 value rounded to 8 bits, sums in float32"
            continue  # see tests/engine/test_bf16.py
        with flowtell.Detector.open(bundle, precision=precision) as detector:
            assert detector.precision == precision


def test_a_certificate_needs_no_metadata_of_a_distribution(tiny_bundle, right, clips, monkeypatch):
    """ONNX Runtime comes in distributions of several names: onnxruntime, onnxruntime-gpu, -openvino."""
    verdict = judge_precision(right, Bundle.open(tiny_bundle), "fp32", clips)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "path", [])  # where metadata would be looked for
        versions = verdict.certificate("itself")["versions"]
    assert versions == {
        "flowtell": flowtell.__version__,
        "keras": keras.__version__,
        "onnxruntime": onnxruntime.__version__,
    }


def test_the_stored_copy_stays_byte_for_byte(derived, tiny_bundle):
    assert (derived / "detector.onnx").read_bytes() == (tiny_bundle / "detector.onnx").read_bytes()


def test_graphs_up_to_the_crop_stay_those_of_the_source(copy):
    model = onnx.load(copy / "faces.onnx")
    model.doc_string = "of another version"
    data = model.SerializeToString()
    (copy / "faces.onnx").write_bytes(data)
    stated = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    rewrite(copy, lambda manifest: manifest["graphs"]["faces"]["fp32"].update(stated))
    derive_bundle(copy, copy, [], [samples.natural_path()], 1, 1, limits=TINY_LIMITS)
    assert (copy / "faces.onnx").read_bytes() == data
    Bundle.open(copy).verify()


def test_the_folder_that_one_stands_in_is_not_replaced(copy, monkeypatch):
    monkeypatch.chdir(copy)
    with pytest.raises(InputError, match="is the working folder"):
        require_replaceable(Path())


def test_a_precision_is_added_to_those_that_are_there(copy):
    before = Bundle.open(copy).manifest
    stale = {"precision": "bf16", "detector_sha256": "0" * 64, "of": ["another detector"]}
    kept = [dict(c) for c in before.certificates if c["precision"] != "bf16"]
    rewrite(copy, lambda manifest: manifest.update(certificates=[*kept, stale]))
    derive_bundle(copy, copy, ["int8"], [samples.natural_path()], 1, PAIRS, limits=TINY_LIMITS)
    after = Bundle.open(copy)
    after.verify()
    assert set(after.precisions("detector")) == {"fp32", "fp16", "bf16", "int8"}
    for precision in ("fp32", "fp16", "bf16"):
        assert after.manifest.graphs["detector"][precision] == before.graphs["detector"][precision]
    found = {certificate["precision"]: certificate for certificate in after.manifest.certificates}
    assert len(after.manifest.certificates) == len(found) == 4
    for precision, certificate in found.items():
        assert certificate["detector_sha256"] == after.manifest.graphs["detector"][precision].sha256


def test_a_detector_that_is_certified_is_not_judged_again(copy):
    """What stands in its certificate is kept, which the figures of another gate would not hold."""
    rewrite(copy, lambda manifest: [c.update(seen=True) for c in manifest["certificates"]])
    derive_bundle(copy, copy, [], [samples.natural_path()], 1, 1, limits=TINY_LIMITS)
    seen = {c["precision"]: "seen" in c for c in Bundle.open(copy).manifest.certificates}
    assert seen == {"fp32": False, "fp16": True, "bf16": True, "int8": True}


def test_a_certificate_goes_with_its_detector(derived, tmp_path):
    facts, papers = facts_from_bundle(derived)
    assert len(facts.certificates) == 4
    write_bundle(tmp_path / "again", keras_from_bundle(derived), facts, papers, "float32")
    assert Bundle.open(tmp_path / "again").manifest.certificates == ()


@pytest.mark.parametrize(
    ("words", "lost"),
    [
        ([], "fp16, bf16, int8"),
        (
            ["--storage", "float32", "--precision", "int8", "--clips", str(samples.natural_path())],
            "fp16, bf16",
        ),
    ],
    ids=["plain", "stored otherwise"],
)
def test_a_bundle_is_not_replaced_by_itself_with_less(copy, capsys, words, lost):
    before = Bundle.open(copy).sha256
    assert main(["export", str(copy), "--out", str(copy.parent / "." / "bundle"), *words]) == 2
    said = capsys.readouterr().err
    assert f"would lose its detectors in {lost}, since" in said
    assert len(said.strip().splitlines()) == 1
    assert Bundle.open(copy).sha256 == before


def test_a_copy_keeps_storage_and_detectors_or_says_what_it_would_lack(copy, tiny_bundle, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["export", str(copy), "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert f"'{out}' would lack the detectors in fp16, bf16, int8 of '{copy}', since" in said
    assert not out.exists()
    assert main(["export", str(copy), "--out", str(out), "--storage", "float32"]) == 0
    assert main(["export", str(out), "--out", str(tmp_path / "again")]) == 0
    stated = [
        Bundle.open(folder).manifest.weights_storage for folder in (tiny_bundle, out, tmp_path / "again")
    ]
    assert stated[0] != "fp32"
    assert stated[1:] == ["fp32", "fp32"]


def test_a_precision_past_its_limits_is_not_written(tiny_bundle, tmp_path, capsys):
    """The tiny model's random weights amplify fp16's rounding past the limits for what ships."""
    before = sorted(path.name for path in tmp_path.iterdir())
    arguments = ["--precision", "fp16", "--clips", str(samples.natural_path())]
    arguments += ["--clips-per-file", "1", "--pairs", "1"]
    assert main(["export", str(tiny_bundle), "--out", str(tmp_path / "out"), *arguments]) == 1
    said = capsys.readouterr().err
    assert "nothing was written: fp16 does not pass at the stage 'classifier': classifier_logit_mean" in said
    assert "(limit 0.01)" in said
    assert "gate fp16" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_check_draws_the_worst_pair(derived, tmp_path, capsys):
    arguments = ["--precision", "int8", "--clips", str(samples.natural_path()), "--pairs", "1"]
    picture = tmp_path / "worst.png"
    main(["check", str(derived), "--against", "self", *arguments, "--picture", str(picture)])
    assert picture.read_bytes().startswith(b"\x89PNG")
    text = capsys.readouterr().out
    assert "worst flow: " in text
    assert "natural.mp4 at 0.00 s, pair 0" in text


def test_a_precision_without_clips_is_wrong_usage(tiny_bundle, tmp_path, capsys):
    assert main(["export", str(tiny_bundle), "--out", str(tmp_path / "out"), "--precision", "int8"]) == 2
    assert "name some with --clips" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--only", "flow", "--clips", "{sample}"], "--only writes no bundle"),
        (["--keras", "--precision", "fp16", "--clips", "{sample}"], "--keras writes no bundle"),
        (["--keras", "--storage", "float32"], "--storage says nothing beside it"),
        (["--keras", "--only", "flow"], "not allowed with argument"),
        (["--pairs", "4"], "--clips-per-file and --pairs are of the gate's videos"),
    ],
)
def test_an_option_that_would_say_nothing_is_refused(tiny_bundle, tmp_path, capsys, words, says):
    words = [word.format(sample=samples.natural_path()) for word in words]
    try:
        code = main(["export", str(tiny_bundle), "--out", str(tmp_path / "out"), *words])
    except SystemExit as end:
        code = end.code
    assert code == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_trained_model_is_not_written_over(tiny_bundle, tmp_path, capsys):
    (tmp_path / "flow.weights.h5").write_text("three days of training")
    assert main(["export", str(tiny_bundle), "--keras", "--out", str(tmp_path)]) == 2
    assert "is not empty: --keras writes a new folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["flow.weights.h5"]


def test_a_video_that_cannot_be_read_is_named(tiny_bundle, tmp_path, capsys):
    (tmp_path / "text.mp4").write_text("no video")
    words = ["--against", "self", "--clips", str(tmp_path / "text.mp4")]
    assert main(["check", str(tiny_bundle), *words]) == 2
    assert f"'{tmp_path / 'text.mp4'}': it cannot be opened as a video" in capsys.readouterr().err
