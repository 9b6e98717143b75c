"""Bundles that mean harm, each with what every loader must say of it: cases for the hosts of all languages.

    python tests/hostile_bundles.py FOLDER

writes each case as a bundle of its own, FOLDER/NAME, and FOLDER/cases.json with the words that a refusal
must hold. A case starts from the committed tiny bundle and does one thing to it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

TINY = Path(__file__).parent / "bundles" / "tiny"
SECRET_NAME = "secret.onnx"
"""A file beside the bundles that some of them point at; no loader may open it."""

CASES: list[HostileCase] = []


@dataclass(frozen=True)
class HostileCase:
    """One attack: its name, words that the refusal must hold, and what it does to a whole bundle's folder."""

    name: str
    says: str
    harm: Callable[[Path], None]

    def write(self, folder: Path) -> None:
        """Write the hostile bundle into `folder`, which does not exist yet."""
        shutil.copytree(TINY, folder)
        self.harm(folder)


def case(says: str) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
    """Add a function to the table under its own name."""

    def add(harm: Callable[[Path], None]) -> Callable[[Path], None]:
        CASES.append(HostileCase(harm.__name__, says, harm))
        return harm

    return add


def manifest_case(name: str, says: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Add a case that changes the manifest and nothing else."""
    CASES.append(HostileCase(name, says, lambda folder: rewrite(folder, change)))


def graph_case(name: str, says: str, change: Callable[[onnx.ModelProto], object]) -> None:
    """Add a case that changes the detector graph and states its new hash honestly."""

    def harm(folder: Path) -> None:
        model = onnx.load(folder / "detector.onnx")
        change(model)
        replace(folder, "detector", model.SerializeToString())

    CASES.append(HostileCase(name, says, harm))


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "manifest.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")


def replace(folder: Path, graph: str, data: bytes) -> None:
    (folder / f"{graph}.onnx").write_bytes(data)
    entry = {"file": f"{graph}.onnx", "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    rewrite(folder, lambda m: m["graphs"].update({graph: {"fp32": entry}}))


def add_detector(folder: Path, precision: str, data: bytes) -> None:
    """Give a bundle a detector in one more precision, or another one in it; no gate has seen it."""
    file = f"detector-{precision}.onnx"
    (folder / file).write_bytes(data)
    entry = {"file": file, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    rewrite(folder, lambda m: m["graphs"]["detector"].update({precision: entry}))


def crop_file(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda m: m["graphs"]["crop"]["fp32"].update(changes)


# Files that lie elsewhere, or are none.
manifest_case("path_escape", "'../secret.onnx', but a graph must be a plain file name",
              crop_file(file="../secret.onnx"))  # fmt: skip
manifest_case("absolute_path", "'/etc/secret.onnx', but a graph must be a plain file name",
              crop_file(file="/etc/secret.onnx"))  # fmt: skip
manifest_case("subfolder", "'graphs/crop.onnx', but a graph must be a plain file name",
              crop_file(file="graphs/crop.onnx"))  # fmt: skip
manifest_case("backslash_path", "secret.onnx', but a graph must be a plain file name",
              crop_file(file="..\\secret.onnx"))  # fmt: skip
manifest_case("plan_named_as_graph", "'detector.plan', but a graph must be a plain file name",
              lambda m: m["graphs"]["detector"]["fp32"].update(file="detector.plan"))  # fmt: skip


@case("'crop.onnx' in the bundle is a link")
def graph_is_a_link(folder: Path) -> None:
    (folder / "crop.onnx").rename(folder.parent / SECRET_NAME)
    (folder / "crop.onnx").symlink_to(folder.parent / SECRET_NAME)


@case("'manifest.json' in the bundle is a link")
def manifest_is_a_link(folder: Path) -> None:
    (folder / "manifest.json").rename(folder.parent / SECRET_NAME)
    (folder / "manifest.json").symlink_to(folder.parent / SECRET_NAME)


@case("'crop.onnx' in the bundle is not a regular file")
def graph_is_a_pipe(folder: Path) -> None:
    (folder / "crop.onnx").unlink()
    os.mkfifo(folder / "crop.onnx")


@case("has no 'crop.onnx'")
def graph_is_missing(folder: Path) -> None:
    (folder / "crop.onnx").unlink()


@case("536870913 bytes; at most 536870912 are read")
def huge_file(folder: Path) -> None:
    with (folder / "crop.onnx").open("r+b") as file:
        file.truncate((1 << 29) + 1)


# Bytes that are not those that the manifest names.
@case("its SHA-256 differs")
def hash_mismatch(folder: Path) -> None:
    data = (folder / "crop.onnx").read_bytes()
    (folder / "crop.onnx").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


@case("'crop.onnx' has 100 bytes but the manifest says")
def truncated_file(folder: Path) -> None:
    (folder / "crop.onnx").write_bytes((folder / "crop.onnx").read_bytes()[:100])


@case("'detector.onnx' is not an ONNX model that flowtell reads: it ends inside")
def truncated_graph_with_honest_hash(folder: Path) -> None:
    replace(folder, "detector", (folder / "detector.onnx").read_bytes()[:5000])


@case("'crop.onnx' is not an ONNX model that flowtell reads")
def plan_renamed_to_onnx(folder: Path) -> None:
    # "ftrt" opens a serialised TensorRT plan.
    replace(folder, "crop", b"ftrt" + bytes(64))


@case("'faces.onnx' is not an ONNX model that flowtell reads")
def pickle_renamed_to_onnx(folder: Path) -> None:
    replace(folder, "faces", b"\x80\x04cposix\nsystem\n(S'true'\ntR.")


# Graphs that would make a runtime do more than arithmetic.
def with_external_data(model: onnx.ModelProto) -> None:
    stored = next(tensor for tensor in model.graph.initializer if tensor.raw_data)
    stored.ClearField("raw_data")
    stored.data_location = TensorProto.EXTERNAL
    entry = stored.external_data.add()
    entry.key, entry.value = "location", f"../{SECRET_NAME}"
    stored.name = "far"


def with_hidden_external_data(model: onnx.ModelProto) -> None:
    hidden = TensorProto(name="hidden", data_type=TensorProto.FLOAT, dims=[1])
    hidden.data_location = TensorProto.EXTERNAL
    entry = hidden.external_data.add()
    entry.key, entry.value = "location", f"../{SECRET_NAME}"
    body = helper.make_graph([helper.make_node("Constant", [], ["c"], value=hidden)], "body", [], [])
    model.graph.node.append(helper.make_node("If", ["condition"], ["x"], then_branch=body, else_branch=body))


def with_local_function(model: onnx.ModelProto) -> None:
    model.functions.append(
        helper.make_function("local", "f", ["x"], ["y"], [], [helper.make_opsetid("", 18)])
    )


def with_depth(model: onnx.ModelProto) -> None:
    node = helper.make_node("Identity", ["x"], ["y"])
    for _ in range(20):
        body = helper.make_graph([node], "body", [], [])
        node = helper.make_node("If", ["x"], ["y"], then_branch=body)
    model.graph.node.append(node)


def append_node(domain: str, op_type: str, **attributes: str) -> Callable[[onnx.ModelProto], object]:
    return lambda model: model.graph.node.append(
        helper.make_node(op_type, [], ["run"], domain=domain, **attributes)
    )


def wire_case(name: str, says: str, more: bytes) -> None:
    """Add a case that has more bytes behind the detector graph, which parsers merge into the model."""

    def harm(folder: Path) -> None:
        replace(folder, "detector", (folder / "detector.onnx").read_bytes() + more)

    CASES.append(HostileCase(name, says, harm))


def wire_field(number: int, payload: bytes) -> bytes:
    """One field as Protocol Buffers write it: `number` up to 15, the payload under 2 MiB."""
    size = len(payload)
    return bytes([number << 3 | 2, size & 127 | 128, size >> 7 & 127 | 128, size >> 14]) + payload


wire_case(
    "domains_times_versions",
    "operators of the domain 'd0000'",
    wire_field(
        8,
        b"".join(wire_field(1, b"d%04d" % n) + b"\x10" + bytes([n & 127 | 128, n >> 7]) for n in range(2000)),
    ),
)
wire_case("a_million_dimensions", "a tensor of more than 64 dimensions",
          wire_field(7, wire_field(5, wire_field(1, b"\1" * 1_000_000))))  # fmt: skip
wire_case("a_million_fields", "it holds more than 1000000 fields", b"\x78\0" * 1_000_000)
# keys of fields 8 and 13, with the bit beyond 32 that parsers drop
wire_case("hidden_opset", "a field number of more than 29 bits", b"\xc2\x80\x80\x80\x10\x01x")
wire_case("hidden_external_data", "a field number of more than 29 bits",
          wire_field(7, wire_field(5, b"\xea\x80\x80\x80\x10\x01x")))  # fmt: skip
graph_case("long_domain", f"operators of the domain '{'x' * 200}...'", append_node("x" * 5000, "Run"))
graph_case(
    "many_opsets",
    "imports opset 18, 1000, 1001, 1002",
    lambda m: m.opset_import.extend(helper.make_opsetid("", version) for version in range(1000, 3000)),
)
graph_case("external_data", "keeps the tensor 'far' outside itself", with_external_data)
graph_case(
    "external_data_in_a_subgraph", "keeps the tensor 'hidden' outside itself", with_hidden_external_data
)
graph_case("unknown_domain", "operators of the domain 'com.evil'", append_node("com.evil", "Run"))
graph_case("compiled_context", "operators of the domain 'com.microsoft'",
           append_node("com.microsoft", "EPContext", ep_cache_context=f"../{SECRET_NAME}"))  # fmt: skip
graph_case("local_function", "operators of the domain 'local'", with_local_function)
graph_case("nested_too_deep", "nested deeper than 32 levels", with_depth)
graph_case("huge_dimension", "a tensor of more than 268435456 elements",
           lambda m: m.graph.initializer[0].dims.append(1 << 40))  # fmt: skip
graph_case("newer_ir", "IR version 99", lambda m: setattr(m, "ir_version", 99))
graph_case("newer_opset", "imports opset 99", lambda m: setattr(m.opset_import[0], "version", 99))
graph_case("older_opset", "imports opset 7", lambda m: setattr(m.opset_import[0], "version", 7))
graph_case("no_graph", "no IR version or no graph", lambda m: m.ClearField("graph"))
graph_case("wrong_dtype", "must have the input 'clips'",
           lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", TensorProto.FLOAT))  # fmt: skip


@case("'cuts.onnx' must have the output 'signature'")
def crops_for_cuts(folder: Path) -> None:
    replace(folder, "cuts", (folder / "crop.onnx").read_bytes())


@case("'crop.onnx' must have the input 'box'")
def graphs_change_places(folder: Path) -> None:
    replace(folder, "crop", (folder / "faces.onnx").read_bytes())


# Manifests.
manifest_case("unknown_key", "the manifest has the unknown key 'run'", lambda m: m.update(run="rm -rf"))
manifest_case("missing_key", "the manifest lacks the key 'licence'", lambda m: m.pop("licence"))
manifest_case("newer_format", "has format 3", lambda m: m.update(format=3))
manifest_case("no_format", "has no format; this flowtell reads format 2", lambda m: m.pop("format"))
manifest_case("format_in_words", "has a format that is no number", lambda m: m.update(format="2"))
manifest_case("half_a_character", "half a surrogate pair", lambda m: m.update(name="\ud800"))
manifest_case(
    "wrong_type", "'crop_size' must be an integer from 64 to 1024", lambda m: m.update(crop_size="64")
)
manifest_case("huge_crop", "'crop_size' must be a multiple of 64", lambda m: m.update(crop_size=1000))
manifest_case(
    "out_of_range", "'crop_margin' must be a number from 1 to 3", lambda m: m.update(crop_margin=1e6)
)
manifest_case("huge_size_stated", "must be an integer from 1 to 536870912", crop_file(bytes=1 << 40))
manifest_case("bad_hash", "must be 64 lower-case hexadecimal digits", crop_file(sha256="0" * 63))
manifest_case(
    "unknown_graph", "each key of 'graphs' must be one of", lambda m: m["graphs"].update(payload={})
)
manifest_case("unknown_precision", "each key of graph 'crop' must be one of",
              lambda m: m["graphs"]["crop"].update(int4=m["graphs"]["crop"]["fp32"]))  # fmt: skip
manifest_case("no_threshold", "a detector but no thresholds", lambda m: m.update(thresholds=[]))
manifest_case(
    "not_a_number", "NaN is not a number that JSON has", lambda m: m.update(temperature=float("nan"))
)


def edit_text(old: str, new: str) -> Callable[[Path], None]:
    def harm(folder: Path) -> None:
        text = (folder / "manifest.json").read_text(encoding="utf-8")
        assert old in text
        (folder / "manifest.json").write_text(text.replace(old, new, 1), encoding="utf-8")

    return harm


CASES.append(HostileCase("duplicate_key", "the key 'format' appears twice",
                         edit_text('"format": 2,', '"format": 2, "format": 2,')))  # fmt: skip
CASES.append(HostileCase("infinity_in_a_certificate", "holds a number that is not finite",
                         edit_text('"certificates": []', '"certificates": [{"x": 1e999}]')))  # fmt: skip
CASES.append(HostileCase("huge_exponent", "item 1 of 'certificates' holds a number that is not finite",
                         edit_text('"certificates": []',
                                   '"certificates": [{}, {"x": 1e9223372036854775807}]')))  # fmt: skip
CASES.append(HostileCase("long_duplicate_key", f"the key '{'k' * 200}...' appears twice",
                         edit_text('"format": 2,', f'"{"k" * 5000}": 1, "{"k" * 5000}": 1,')))  # fmt: skip
manifest_case("long_unknown_key", f"the unknown key '{'k' * 200}...'", lambda m: m.update({"k" * 5000: 1}))
manifest_case("long_file_name", f"'{'f' * 200}...', but a graph must be a plain file name",
              crop_file(file="f" * 5000 + ".onnx"))  # fmt: skip


@case("manifest.json is not JSON as flowtell reads it: maximum recursion depth")
def manifest_bomb_of_depth(folder: Path) -> None:
    (folder / "manifest.json").write_text("[" * 500_000)


@case("'manifest.json' in the bundle has 2097152 bytes; at most 1048576")
def manifest_bomb_of_size(folder: Path) -> None:
    (folder / "manifest.json").write_bytes(b" " * (2 << 20))


def main(folder: Path) -> None:
    """Write every case below `folder`."""
    for item in CASES:
        (folder / item.name).mkdir(parents=True)
        item.write(folder / item.name / "bundle")
    words = {item.name: item.says for item in CASES}
    (folder / "cases.json").write_text(json.dumps(words, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python tests/hostile_bundles.py FOLDER")
    main(Path(sys.argv[1]))
