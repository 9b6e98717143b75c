"""The manifest of a bundle: `manifest.json`, format 2, parsed strictly.

`schemas/manifest.schema.json` says the same in JSON Schema; a test holds the two together.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NoReturn

from ._errors import BundleError, shortened

__all__ = ["GraphFile", "LeastEvidence", "Manifest", "Threshold", "TrainingSource", "manifest_from_bytes"]

FORMAT = 2
MAX_MANIFEST_BYTES = 1 << 20
"""A manifest with certificates for every precision is a few tens of kB."""

MAX_GRAPH_BYTES = 1 << 29
"""512 MiB: PWC-Net and VGG16 with their full heads in float32 are 239 MB."""

MAX_CROP_SIZE = 1024
MAX_LEAST_PAIRS = 1 << 16
"""More than half an hour of a face at 30 frames a second: a bundle that asks for more would never judge."""

CROP_SIZE_STEP = 64
"""PWC-Net halves its input six times."""

GRAPH_NAMES = ("faces", "cuts", "crop", "detector", "flow", "classifier")
PRECISIONS = ("fp32", "fp16", "bf16", "int8")
FLOW_ENCODINGS = ("colour_wheel", "uv", "uv_residual")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,126}\.onnx")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class GraphFile:
    """One stored graph: a plain file name in the bundle's folder, its SHA-256 (hex) and its size in bytes."""

    file: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Threshold:
    """A threshold in [0, 1], above which a video reads `fake`, and the operating point it stands for."""

    fake_probability: float
    operating_point: str


@dataclass(frozen=True)
class LeastEvidence:
    """What a video must show for a verdict; with less the detector abstains (state `thin_evidence`).

    Attributes:
        pairs: frame pairs of the clips, judged or not, of the faces that decide.
        face_px: longer side of the largest face that decides, in px.
    """

    pairs: int = 0
    face_px: int = 0


@dataclass(frozen=True)
class TrainingSource:
    """A data set that the model was trained on, and the terms it came under."""

    name: str
    terms: str


@dataclass(frozen=True)
class Manifest:
    """Everything `manifest.json` says.

    Attributes:
        name: of the bundle.
        licence: one line, shown in every result.
        colour_order: of the frames and clips that the graphs take: always `RGB`.
        crop_size: S, side of a crop in px, a multiple of 64.
        pairs_per_clip: T, consecutive frame pairs in a full face clip.
        crop_margin: side of the crop over the longer side of the face, 1 to 3.
        face_score_threshold: lowest face score that `faces.onnx` lets through, 0 to 1.
        flow_encoding: what the classifier sees: `colour_wheel`, `uv` or `uv_residual`.
        weights_storage: how the weights are stored (free short text).
        graphs: name -> precision -> file.
        temperature: the calibration temperature already applied inside the graphs.
        thresholds: the first is the one verdicts use; empty only where the bundle has no detector.
        training_data: what it was trained on.
        certificates: figures of the export's gate, as written.
        least_evidence: what a video must show for a verdict; a file without it asks for nothing.
    """

    name: str
    licence: str
    colour_order: str
    crop_size: int
    pairs_per_clip: int
    crop_margin: float
    face_score_threshold: float
    flow_encoding: str
    weights_storage: str
    graphs: Mapping[str, Mapping[str, GraphFile]]
    temperature: float
    thresholds: tuple[Threshold, ...]
    training_data: tuple[TrainingSource, ...]
    certificates: tuple[Mapping[str, Any], ...]
    least_evidence: LeastEvidence = LeastEvidence()


def manifest_from_bytes(data: bytes) -> Manifest:
    """Parse a manifest.

    Raises:
        BundleError: for anything but a well-formed manifest of format 2: duplicate or unknown keys, wrong
            types, numbers out of range or not finite, file names with a path in them, more than 1 MiB.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        raise BundleError(f"manifest.json has {len(data)} bytes; at most {MAX_MANIFEST_BYTES} are read")
    try:
        document = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique_pairs, parse_constant=_refuse_constant
        )
        _require_text(document)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"manifest.json is not JSON as flowtell reads it: {error}") from error
    if isinstance(document, dict):
        _require_format(document)
    fields = _object(
        document,
        "the manifest",
        required={
            "format": lambda value, where: _integer(value, where, FORMAT, FORMAT),
            "name": _text,
            "licence": _text,
            "colour_order": lambda value, where: _one_of(value, where, ("RGB",)),
            "crop_size": _crop_size,
            "pairs_per_clip": lambda value, where: _integer(value, where, 4, 64),
            "crop_margin": lambda value, where: _number(value, where, 1.0, 3.0),
            "face_score_threshold": lambda value, where: _number(value, where, 0.0, 1.0),
            "flow_encoding": lambda value, where: _one_of(value, where, FLOW_ENCODINGS),
            "weights_storage": _text,
            "graphs": _graphs,
            "temperature": lambda value, where: _number(value, where, 1e-3, 1e3),
            "thresholds": lambda value, where: _array(value, where, _threshold),
            "training_data": lambda value, where: _array(value, where, _training_source),
            "certificates": lambda value, where: _array(value, where, _certificate),
        },
        optional={"least_evidence": _least_evidence},
    )
    del fields["format"]
    manifest = Manifest(**fields)
    if "detector" in manifest.graphs and not manifest.thresholds:
        raise BundleError("manifest.json has a detector but no thresholds: state at least one")
    return manifest


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"the key {shortened(key)!r} appears twice")
        result[key] = value
    return result


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number that JSON has")


def _object(
    value: Any,
    where: str,
    required: Mapping[str, Callable[[Any, str], Any]],
    optional: Mapping[str, Callable[[Any, str], Any]] = MappingProxyType({}),
) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BundleError(f"manifest.json: {where} must be an object")
    for key in value:
        if key not in required and key not in optional:
            raise BundleError(f"manifest.json: {where} has the unknown key {shortened(key)!r}")
    for key in required:
        if key not in value:
            raise BundleError(f"manifest.json: {where} lacks the key {key!r}")
    known = {**required, **{key: parse for key, parse in optional.items() if key in value}}
    return {key: parse(value[key], f"{key!r}") for key, parse in known.items()}


def _array(value: Any, where: str, parse: Callable[[Any, str], Any]) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise BundleError(f"manifest.json: {where} must be an array")
    return tuple(parse(item, f"item {index} of {where}") for index, item in enumerate(value))


def _require_text(document: Any) -> None:
    """Refuse text that no UTF-8 can hold, such as a result would have to."""
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("half a surrogate pair") from None


def _require_format(document: dict[str, Any]) -> None:
    value = document.get("format")
    if "format" not in document:
        stated = "no format"
    elif not isinstance(value, (int, float)) or isinstance(value, bool):
        stated = "a format that is no number"
    elif value != FORMAT:
        stated = f"format {shortened(repr(value))}"
    else:
        return
    raise BundleError(
        f"manifest.json has {stated}; this flowtell reads format {FORMAT}: "
        "export the bundle again, or install a flowtell that knows that format"
    )


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value or len(value) > 1000:
        raise BundleError(f"manifest.json: {where} must be text of 1 to 1000 characters")
    return value


def _one_of(value: Any, where: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise BundleError(f"manifest.json: {where} must be one of {', '.join(allowed)}")
    return str(value)


def _integer(value: Any, where: str, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise BundleError(f"manifest.json: {where} must be an integer from {low} to {high}")
    return value


def _number(value: Any, where: str, low: float, high: float) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise BundleError(f"manifest.json: {where} must be a number from {low:g} to {high:g}")
    return float(value)


def _crop_size(value: Any, where: str) -> int:
    size = _integer(value, where, CROP_SIZE_STEP, MAX_CROP_SIZE)
    if size % CROP_SIZE_STEP:
        raise BundleError(f"manifest.json: {where} must be a multiple of {CROP_SIZE_STEP}")
    return size


def _graphs(value: Any, where: str) -> Mapping[str, Mapping[str, GraphFile]]:
    if not isinstance(value, dict):
        raise BundleError(f"manifest.json: {where} must be an object")
    graphs: dict[str, Mapping[str, GraphFile]] = {}
    for name, precisions in value.items():
        _one_of(name, f"each key of {where}", GRAPH_NAMES)
        if not isinstance(precisions, dict) or not precisions:
            raise BundleError(f"manifest.json: graph {name!r} must be an object with a precision in it")
        files: dict[str, GraphFile] = {}
        for precision, entry in precisions.items():
            _one_of(precision, f"each key of graph {name!r}", PRECISIONS)
            fields = _object(entry, f"graph {name!r} {precision}", _GRAPH_FILE)
            files[precision] = GraphFile(**fields)
        graphs[name] = MappingProxyType(files)
    for name in ("faces", "cuts", "crop"):
        if name not in graphs:
            raise BundleError(f"manifest.json: {where} lacks the graph {name!r}")
    return MappingProxyType(graphs)


def _file_name(value: Any, where: str) -> str:
    if not isinstance(value, str) or not _FILE_NAME.fullmatch(value):
        found = repr(shortened(value)) if isinstance(value, str) else "no text"
        raise BundleError(
            f"manifest.json: {where} is {found}, but a graph must be a plain file name that ends in .onnx, "
            "in the bundle's own folder"
        )
    return value


def _sha256(value: Any, where: str) -> str:
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise BundleError(f"manifest.json: {where} must be 64 lower-case hexadecimal digits")
    return value


def _threshold(value: Any, where: str) -> Threshold:
    fields = _object(
        value,
        where,
        {"fake_probability": lambda item, at: _number(item, at, 0.0, 1.0), "operating_point": _text},
    )
    return Threshold(**fields)


def _least_evidence(value: Any, where: str) -> LeastEvidence:
    fields = _object(
        value,
        where,
        {
            "pairs": lambda item, at: _integer(item, at, 0, MAX_LEAST_PAIRS),
            "face_px": lambda item, at: _integer(item, at, 0, MAX_CROP_SIZE),
        },
    )
    return LeastEvidence(**fields)


def _training_source(value: Any, where: str) -> TrainingSource:
    return TrainingSource(**_object(value, where, {"name": _text, "terms": _text}))


def _certificate(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise BundleError(f"manifest.json: {where} must be an object")
    _require_finite(value, where)
    return MappingProxyType(value)


def _require_finite(value: Any, where: str) -> None:
    """Refuse 1e999 anywhere inside: the JSON parser turns it into infinity without a word."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, float) and not math.isfinite(item):
            raise BundleError(f"manifest.json: {where} holds a number that is not finite")


_GRAPH_FILE: Mapping[str, Callable[[Any, str], Any]] = {
    "file": _file_name,
    "sha256": _sha256,
    "bytes": lambda value, where: _integer(value, where, 1, MAX_GRAPH_BYTES),
}
