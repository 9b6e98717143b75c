"""The folder of a bundle: written whole or not at all, its papers read back."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import onnx

from flowtell import Bundle, BundleError, InputError
from flowtell.export._atomic_folder import replaced_folder
from flowtell.export._graph_builder import save
from flowtell.export.bundle_facts import BundleFacts, LeastEvidence
from flowtell.export.capture import CAPTURE_GRAPHS, write_capture_graphs

__all__ = [
    "PAPERS",
    "graph_file_name",
    "make_folder",
    "read_papers",
    "require_no_file",
    "require_replaceable",
    "write_bundle_folder",
]

MANIFEST_NAME = "manifest.json"
# What a reader of a bundle is owed besides its graphs.
PAPERS = ("MODEL_CARD.md", "LICENSE", "NOTICE")


def write_bundle_folder(
    folder: Path,
    facts: BundleFacts,
    *,
    crop_size: int,
    flow_encoding: str,
    weights_storage: str,
    temperature: float = 1.0,
    graphs: Mapping[str, Mapping[str, onnx.ModelProto | bytes]],
    papers: Mapping[str, str],
    gate: Callable[[Bundle], list[dict[str, object]]] | None = None,
) -> None:
    """Write a bundle: the graphs up to the crop, this version's own or those given, the papers, the manifest.

    A reader finds the old bundle or the new one, never half of one, whatever ends this process
    (`flowtell.export._atomic_folder`).

    Args:
        folder: where to; absent, empty, or a bundle that is to be replaced.
        facts: what the manifest says beside the graphs; of its certificates those are left out whose
            ``detector_sha256`` is that of no detector in this bundle.
        crop_size: S in px.
        flow_encoding: ``colour_wheel``, ``uv`` or ``uv_residual``.
        weights_storage: short text, how the weights are stored.
        temperature: the calibration temperature inside the graphs.
        graphs: name (``detector``, ``flow``, ``classifier``, or of those up to the crop) to precision
            (``fp32``, ``fp16``, ``bf16``, ``int8``) to model, or to the bytes of its file.
        papers: file name to text for each of ``PAPERS``.
        gate: given the bundle before it takes its place; returns certificates to add to the manifest. Where
            it raises, the wanted folder stays as it was.

    Raises:
        InputError: the folder holds something that is no bundle, cannot be made, or a paper is missing.
        BundleError: the manifest would be none that this version reads.
    """
    missing = [name for name in PAPERS if name not in papers]
    if missing:
        raise InputError(f"a bundle needs {', '.join(PAPERS)}; {', '.join(missing)} is missing")
    folder = Path(folder).resolve()
    require_replaceable(folder)
    make_folder(folder.parent)
    with replaced_folder(folder) as scratch:
        entries: dict[str, dict[str, dict[str, object]]] = {}
        if not graphs.keys() >= set(CAPTURE_GRAPHS):
            write_capture_graphs(scratch, crop_size, facts.face_score_threshold)
            entries = {name: {"fp32": _file_entry(scratch / f"{name}.onnx")} for name in CAPTURE_GRAPHS}
        for name, precisions in graphs.items():
            entries[name] = {}
            for precision, model in precisions.items():
                path = scratch / graph_file_name(name, precision)
                if isinstance(model, bytes):
                    path.write_bytes(model)
                else:
                    save(model, path)
                entries[name][precision] = _file_entry(path)
        for name in PAPERS:
            (scratch / name).write_text(papers[name], encoding="utf-8")
        detectors = [entry["sha256"] for entry in entries.get("detector", {}).values()]
        manifest = {
            "format": 2,
            "name": facts.name,
            "licence": facts.licence,
            "colour_order": "RGB",
            "crop_size": crop_size,
            "pairs_per_clip": facts.pairs_per_clip,
            "crop_margin": facts.crop_margin,
            "face_score_threshold": facts.face_score_threshold,
            "flow_encoding": flow_encoding,
            "weights_storage": weights_storage,
            "graphs": entries,
            "temperature": temperature,
            "thresholds": [asdict(point) for point in facts.thresholds],
            "training_data": [asdict(source) for source in facts.training_data],
            "certificates": [c for c in facts.certificates if c.get("detector_sha256") in detectors],
        }
        if facts.least_evidence != LeastEvidence():
            manifest["least_evidence"] = asdict(facts.least_evidence)
        # What no reader would open is not written, whoever stated it.
        bundle = Bundle.from_manifest(scratch, _manifest_bytes(manifest))
        if gate is not None:
            manifest["certificates"] += gate(bundle)
        # Last, and only once the gate is passed: a folder without it is no bundle.
        (scratch / MANIFEST_NAME).write_bytes(_manifest_bytes(manifest))


def graph_file_name(graph: str, precision: str) -> str:
    """Return the file name of a graph in a bundle: ``detector.onnx``, ``detector-int8.onnx``."""
    return f"{graph}.onnx" if precision == "fp32" else f"{graph}-{precision}.onnx"


def require_replaceable(folder: Path) -> None:
    """Refuse a folder whose content a new bundle must not delete.

    Raises:
        InputError: it is a file, a mount point or the working folder, or holds anything but a bundle: a
            readable manifest, graphs and papers.
    """
    require_no_file(folder)
    if folder.is_dir() and os.path.ismount(folder.resolve()):
        # a new bundle takes the old one's place in one step, which a file system's root has no name for
        raise InputError(
            f"'{folder}' is a mount point, which nothing can take the place of: name a folder in it"
        )
    held = sorted(folder.iterdir()) if folder.is_dir() else []
    if not held:
        return
    # Other programs keep a manifest.json, too: only what a bundle consists of may be deleted.
    try:
        Bundle.open(folder)
    except BundleError as error:
        raise InputError(
            f"'{folder}' holds files but no bundle that this flowtell reads; give a new folder or a bundle"
        ) from error
    known = {MANIFEST_NAME, *PAPERS}
    foreign = [
        path.name for path in held if not path.is_file() or not (path.name in known or path.suffix == ".onnx")
    ]
    if foreign:
        raise InputError(
            f"'{folder}' holds more than a bundle ({', '.join(foreign)}), which replacing it would delete; "
            "give a new folder"
        )
    here = Path.cwd()
    if folder.resolve() in (here, *here.parents):
        raise InputError(
            f"'{folder}' is the working folder, or holds it: whoever stands in it would stand in what was "
            "deleted; go elsewhere, and name it from there"
        )


def require_no_file(folder: Path) -> None:
    """Refuse a path at which, or above which, a file is in the way of a folder.

    Raises:
        InputError: there is one.
    """
    nearest = next((place for place in (folder, *folder.parents) if place.exists()), None)
    if nearest is not None and not nearest.is_dir():
        raise InputError(f"'{nearest}' is a file; give a folder to write to")


def make_folder(folder: Path) -> None:
    """Make a folder, and those it lies in, where it is absent; what is written goes into it.

    Raises:
        InputError: a file is in the way, or nothing may be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"'{error.filename}' is a file; give a folder to write to") from error
    except OSError as error:
        raise InputError(f"the folder '{folder}' cannot be made: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"nothing may be written to the folder '{folder}'; give another one")


def read_papers(folder: Path) -> dict[str, str]:
    """Read what a reader of a bundle is owed besides its graphs, file name to text.

    Raises:
        InputError: a paper is missing, or is no text in UTF-8.
    """
    papers = {}
    for name in PAPERS:
        try:
            papers[name] = (folder / name).read_text(encoding="utf-8")
        except OSError as error:
            raise InputError(
                f"'{folder / name}' cannot be read; put a text file of that name there"
            ) from error
        except UnicodeDecodeError as error:
            raise InputError(f"'{folder / name}' is no text in UTF-8; save it as such") from error
    return papers


def _manifest_bytes(manifest: dict[str, object]) -> bytes:
    text = json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()


def _file_entry(path: Path) -> dict[str, object]:
    data = path.read_bytes()
    return {"file": path.name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
