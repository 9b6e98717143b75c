"""Opens a bundle: a folder with `manifest.json`, its ONNX graphs and its papers.

A bundle may come from anywhere, so nothing in it is trusted: each file is opened once, without following a
link, hashed, and used from the very bytes that were hashed. `docs/bundle-format.md` describes the format.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from ._arguments import is_path
from ._errors import BundleError, InputError, shortened
from ._manifest import MAX_GRAPH_BYTES, MAX_MANIFEST_BYTES, GraphFile, Manifest, manifest_from_bytes
from ._protobuf import GraphFacts, MalformedGraphError, graph_facts_from_bytes

__all__ = ["Bundle", "default_bundle_path"]

MANIFEST_NAME = "manifest.json"
MAX_IR_VERSION = 10
"""What ONNX Runtime 1.22, the oldest supported, still reads."""

OPSET_RANGE = range(18, 21)
BFLOAT16_OPSET_RANGE = range(22, 23)
"""Of graphs in `bf16`: a convolution takes bfloat16 from opset 22 on."""

DEFAULT_DOMAINS = frozenset({"", "ai.onnx"})
"""Two spellings of the one operator domain whose meaning every runtime agrees on."""


@dataclass(frozen=True)
class Bundle:
    """A bundle whose manifest has been read and whose graphs are read, checked, on demand.

    Attributes:
        path: its folder.
        manifest: what `manifest.json` says.
        sha256: of the manifest's bytes; with the hashes inside it names every byte that computes a verdict.
    """

    path: Path
    manifest: Manifest
    sha256: str

    @classmethod
    def open(cls, path: str | os.PathLike[str] | None = None) -> Bundle:
        """Read the manifest of the bundle at `path`, or of the default bundle in the package.

        Raises:
            BundleError: where there is no bundle, or its manifest is not one this version reads.
            InputError: where `path` is none.
        """
        if path is not None and not is_path(path):
            raise InputError(f"a bundle is named by a str or a path, not by {path!r}")
        folder = Path(path) if path is not None else default_bundle_path()
        if not _is_folder(folder):
            raise BundleError(f"there is no bundle at '{folder}': give a folder with a {MANIFEST_NAME}")
        return cls.from_manifest(folder, _read_regular_file(folder, MANIFEST_NAME, MAX_MANIFEST_BYTES))

    @classmethod
    def from_manifest(cls, folder: Path, data: bytes) -> Bundle:
        """Return the bundle whose graphs lie in `folder` and whose manifest consists of the bytes `data`.

        Raises:
            BundleError: where `data` is not a manifest that this version reads.
        """
        return cls(folder, manifest_from_bytes(data), hashlib.sha256(data).hexdigest())

    def precisions(self, graph: str) -> tuple[str, ...]:
        """Return the precisions that the bundle holds `graph` in; empty where it has no such graph."""
        return tuple(self.manifest.graphs.get(graph, {}))

    def read_graph(self, graph: str, precision: str = "fp32") -> bytes:
        """Read one graph; return the bytes that were hashed and inspected.

        Raises:
            BundleError: where the graph is missing, altered, linked from elsewhere, malformed, of an ONNX
                version outside the supported ones, uses operators outside the default domain, or keeps data
                outside its file.
        """
        entry = self.manifest.graphs.get(graph, {}).get(precision)
        if entry is None:
            others = ", ".join(self.precisions(graph))
            hint = f", but in {others}: 'flowtell export' derives other precisions" if others else ""
            raise BundleError(f"the bundle '{self.manifest.name}' has no {graph} graph in {precision}{hint}")
        data = _read_regular_file(self.path, entry.file, MAX_GRAPH_BYTES)
        _require_identity(data, entry)
        try:
            facts = graph_facts_from_bytes(data)
        except MalformedGraphError as error:
            raise BundleError(f"'{entry.file}' is not an ONNX model that flowtell reads: {error}") from error
        _require_portable(facts, entry.file, BFLOAT16_OPSET_RANGE if precision == "bf16" else OPSET_RANGE)
        return data

    def verify(self) -> None:
        """Read and check every graph of the manifest.

        Raises:
            BundleError: as `read_graph`.
        """
        for graph, precisions in self.manifest.graphs.items():
            for precision in precisions:
                self.read_graph(graph, precision)


def default_bundle_path() -> Path:
    """Return the folder of the bundle that comes with the package."""
    return Path(__file__).parent / "bundles" / "default"


def bundle_from_argument(bundle: Bundle | str | os.PathLike[str] | None) -> Bundle:
    """Return a `Bundle` for what callers pass: one already open, a folder, or None for the default.

    Raises:
        InputError: for anything else.
        BundleError: as `Bundle.open`.
    """
    if isinstance(bundle, Bundle):
        return bundle
    if bundle is None or is_path(bundle):
        return Bundle.open(bundle)
    raise InputError(f"bundle must be a folder, a Bundle or None, not {type(bundle).__name__}")


def _is_folder(path: Path) -> bool:
    """Return whether there is a folder; raise BundleError where that cannot be seen."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError as error:
        raise BundleError(
            f"the bundle at '{shortened(str(path))}' cannot be opened: {error.strerror}"
        ) from error


def _read_regular_file(folder: Path, name: str, limit_bytes: int) -> bytes:
    """Read a file of the folder that is a file itself: no link, no pipe, no device, at most `limit_bytes`."""
    path = folder / name
    # O_NONBLOCK keeps a named pipe from blocking the open; Windows has only O_BINARY, the others lack that
    flags = os.O_RDONLY
    for name_of_flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):
        flags |= getattr(os, name_of_flag, 0)
    try:
        if path.is_symlink():
            raise BundleError(f"'{name}' in the bundle is a link; a bundle must hold its files themselves")
        descriptor = os.open(path, flags)
    except FileNotFoundError as error:
        raise BundleError(f"the bundle at '{folder}' has no '{name}'") from error
    except OSError as error:
        raise BundleError(f"'{name}' in the bundle cannot be opened: {error.strerror}") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise BundleError(f"'{name}' in the bundle is not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        if status.st_size > limit_bytes:
            raise BundleError(
                f"'{name}' in the bundle has {status.st_size} bytes; at most {limit_bytes} are read"
            )
        data = file.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise BundleError(f"'{name}' in the bundle grew past {limit_bytes} bytes while it was read")
    return data


def _require_identity(data: bytes, entry: GraphFile) -> None:
    if len(data) != entry.bytes:
        raise BundleError(f"'{entry.file}' has {len(data)} bytes but the manifest says {entry.bytes}")
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise BundleError(f"'{entry.file}' is not the file the manifest names: its SHA-256 differs")


def _require_portable(facts: GraphFacts, file: str, opsets: range) -> None:
    if facts.external_tensors:
        raise BundleError(
            f"'{file}' keeps the tensor '{facts.external_tensors[0]}' outside itself: "
            "save it without external data"
        )
    if max(facts.ir_versions) > MAX_IR_VERSION or min(facts.ir_versions) < 1:
        raise BundleError(
            f"'{file}' has ONNX IR version {max(facts.ir_versions)}; at most {MAX_IR_VERSION} is read"
        )
    for domain in sorted(facts.domains - DEFAULT_DOMAINS):
        raise BundleError(f"'{file}' uses operators of the domain '{domain}'; only standard ones are run")
    versions = sorted(facts.opset_versions)
    if not versions or any(version not in opsets for version in versions):
        stated = shortened(", ".join(map(str, versions))) or "none"
        raise BundleError(
            f"'{file}' imports opset {stated}; from {opsets.start} to {opsets.stop - 1} is read"
        )
