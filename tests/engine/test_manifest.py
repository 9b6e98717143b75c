"""The strict parser and the JSON Schema accept and refuse the same manifests."""

from __future__ import annotations

import copy
import json
import time
from importlib import resources

import jsonschema
import pytest

from flowtell import BundleError
from flowtell._manifest import FLOW_ENCODINGS, MAX_MANIFEST_BYTES, LeastEvidence, manifest_from_bytes

FILE = {"file": "faces.onnx", "sha256": "0" * 64, "bytes": 10}

GOOD = {
    "format": 2,
    "name": "default",
    "licence": "Apache-2.0",
    "colour_order": "RGB",
    "crop_size": 256,
    "pairs_per_clip": 16,
    "crop_margin": 1.3,
    "face_score_threshold": 0.6,
    "flow_encoding": "colour_wheel",
    "weights_storage": "int8+fp16",
    "graphs": {name: {"fp32": FILE} for name in ("faces", "cuts", "crop", "detector")},
    "temperature": 1.0,
    "thresholds": [{"fake_probability": 0.5, "operating_point": "equal errors"}],
    "training_data": [{"name": "synthetic", "terms": "own"}],
    "certificates": [{"flips": 0, "drift": {"mean": 1e-6}}],
}


@pytest.fixture(scope="module")
def schema():
    text = resources.files("flowtell.schemas").joinpath("manifest.schema.json").read_text(encoding="utf-8")
    document = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


def changed(path, value):
    document = copy.deepcopy(GOOD)
    *parents, last = path
    at = document
    for key in parents:
        at = at[key]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return document


def test_reads_a_good_manifest(schema):
    schema.validate(GOOD)
    manifest = manifest_from_bytes(json.dumps(GOOD).encode())
    assert manifest.crop_size == 256
    assert manifest.graphs["faces"]["fp32"].bytes == 10
    assert manifest.thresholds[0].operating_point == "equal errors"
    assert manifest.training_data[0].terms == "own"
    assert manifest.certificates[0]["flips"] == 0


def test_the_least_evidence_may_be_stated(schema):
    assert manifest_from_bytes(json.dumps(GOOD).encode()).least_evidence == LeastEvidence(0, 0)
    stated = {**GOOD, "least_evidence": {"pairs": 32, "face_px": 96}}
    schema.validate(stated)
    assert manifest_from_bytes(json.dumps(stated).encode()).least_evidence == LeastEvidence(32, 96)


@pytest.mark.parametrize("encoding", FLOW_ENCODINGS)
def test_each_flow_image_may_be_stated(schema, encoding):
    document = {**GOOD, "flow_encoding": encoding}
    schema.validate(document)
    assert manifest_from_bytes(json.dumps(document).encode()).flow_encoding == encoding


def test_a_bundle_without_a_detector_needs_no_threshold(schema):
    document = copy.deepcopy(GOOD)
    del document["graphs"]["detector"]
    document["thresholds"] = []
    schema.validate(document)
    assert manifest_from_bytes(json.dumps(document).encode()).thresholds == ()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *[((key,), None) for key in GOOD],
        (("extra",), 1),
        (("format",), 1),
        (("format",), 3),
        (("name",), ""),
        (("licence",), "x" * 1001),
        (("colour_order",), "BGR"),
        (("crop_size",), 100),
        (("crop_size",), 2048),
        (("crop_size",), 256.5),
        (("pairs_per_clip",), 3),
        (("pairs_per_clip",), True),
        (("crop_margin",), "1.3"),
        (("crop_margin",), 9),
        (("face_score_threshold",), 1.5),
        (("flow_encoding",), "hsv"),
        (("weights_storage",), 8),
        (("graphs",), []),
        (("graphs", "crop"), None),
        (("graphs", "cuts"), None),
        (("graphs", "classifier2"), {"fp32": FILE}),
        (("graphs", "faces"), {}),
        (("graphs", "faces"), {"fp64": FILE}),
        (("graphs", "faces", "fp32"), {**FILE, "extra": 1}),
        (("graphs", "faces", "fp32", "file"), "../faces.onnx"),
        (("graphs", "faces", "fp32", "file"), "/etc/faces.onnx"),
        (("graphs", "faces", "fp32", "file"), "sub/faces.onnx"),
        (("graphs", "faces", "fp32", "file"), "sub\\faces.onnx"),
        (("graphs", "faces", "fp32", "file"), "C:faces.onnx"),
        (("graphs", "faces", "fp32", "file"), ".onnx"),
        (("graphs", "faces", "fp32", "file"), "faces.plan"),
        (("graphs", "faces", "fp32", "file"), 7),
        (("graphs", "faces", "fp32", "sha256"), "0" * 63),
        (("graphs", "faces", "fp32", "sha256"), "A" * 64),
        (("graphs", "faces", "fp32", "bytes"), 0),
        (("graphs", "faces", "fp32", "bytes"), 1 << 40),
        (("temperature",), 0),
        (("thresholds",), []),
        (("thresholds",), {}),
        (("thresholds", 0, "fake_probability"), 1.01),
        (("thresholds", 0, "operating_point"), None),
        (("training_data",), "none"),
        (("training_data", 0), "synthetic"),
        (("certificates", 0), 3),
        (("least_evidence",), 32),
        (("least_evidence",), {"pairs": 32}),
        (("least_evidence",), {"pairs": -1, "face_px": 96}),
        (("least_evidence",), {"pairs": 32, "face_px": 96.5}),
        (("least_evidence",), {"pairs": 1 << 20, "face_px": 96}),
        (("least_evidence",), {"pairs": 32, "face_px": 4096}),
        (("least_evidence",), {"pairs": 32, "face_px": 96, "blur": 0}),
    ],
)
def test_parser_and_schema_refuse_alike(schema, path, value):
    document = changed(path, value)
    assert not schema.is_valid(document)
    with pytest.raises(BundleError, match=r"^manifest\.json") as caught:
        manifest_from_bytes(json.dumps(document).encode())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"format": 2, "format": 2}', "appears twice"),
        ('{"format": NaN}', "NaN"),
        ('{"format": -Infinity}', "Infinity"),
        ("[" * 100_000, "not JSON"),
        ("", "not JSON"),
        ('{"format": ' + "9" * 5000 + "}", "not JSON"),
        (json.dumps(GOOD) + "x", "not JSON"),
        (json.dumps(GOOD).replace("1e-06", "1e999"), "not finite"),
        (json.dumps(GOOD).replace('"temperature": 1.0', '"temperature": 1e999'), "temperature"),
        ("[]", "must be an object"),
        (json.dumps(GOOD) + " " * MAX_MANIFEST_BYTES, "at most"),
    ],
)
def test_refuses_what_json_alone_lets_through(text, says):
    with pytest.raises(BundleError, match=says):
        manifest_from_bytes(text.encode())


def test_refuses_what_is_not_utf8():
    with pytest.raises(BundleError, match="not JSON"):
        manifest_from_bytes(b'{"name": "\xff"}')


def test_a_duplicate_behind_many_keys_is_found_in_one_pass():
    """Every key against every other would be 10 s of processor time."""
    keys = [f'"{n:x}":0' for n in range(30_000)]
    begun_s = time.process_time()
    with pytest.raises(BundleError, match="the key '752f' appears twice"):
        manifest_from_bytes(f"{{{','.join([*keys, keys[-1]])}}}".encode())
    assert time.process_time() - begun_s < 2


def test_what_is_long_goes_into_a_sentence_in_part():
    document = {**GOOD, "format": 10**300}
    with pytest.raises(BundleError, match=r"has format 10{199}\.\.\.; this flowtell reads format 2"):
        manifest_from_bytes(json.dumps(document).encode())
