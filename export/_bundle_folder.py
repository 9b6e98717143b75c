"""The folder of a bundle: written whole or not at all, its papers read back."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import onnx

from flowtell import Bundle, BundleError, InputError
from flowtell.export._graph_builder import save
from flowtell.export.bundle_facts import BundleFacts
from flowtell.export.capture import write_capture_graphs

__all__ = ["PAPERS", "make_folder", "read_papers", "require_replaceable", "write_bundle_folder"]

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
    graphs: Mapping[str, onnx.ModelProto],
    papers: Mapping[str, str],
) -> None:
    """Write a bundle: faces and crop graphs, the graphs given, the papers and the manifest.

    Everything is written into a new folder beside the wanted one, which then takes its name: a reader finds
    the old bundle or the new one, never half of one.

    Args:
        folder: where to; absent, empty, or a bundle that is to be replaced.
        facts: what the manifest says beside the graphs.
        crop_size: S in px.
        flow_encoding: ``colour_wheel`` or ``uv``.
        weights_storage: short text, how the weights are stored.
        temperature: the calibration temperature inside the graphs.
        graphs: name (``detector``, ``flow``, ``classifier``) to model, computed in float32.
        papers: file name to text for each of ``PAPERS``.

    Raises:
        InputError: the folder holds something that is no bundle, cannot be made, or a paper is missing.
    """
    missing = [name for name in PAPERS if name not in papers]
    if missing:
        raise InputError(f"a bundle needs {', '.join(PAPERS)}; {', '.join(missing)} is missing")
    folder = Path(folder).resolve()
    require_replaceable(folder)
    make_folder(folder.parent)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        write_capture_graphs(scratch, crop_size, facts.face_score_threshold)
        for name, model in graphs.items():
            save(model, scratch / f"{name}.onnx")
        for name in PAPERS:
            (scratch / name).write_text(papers[name], encoding="utf-8")
        names = ("faces", "crop", *graphs)
        manifest = {
            "format": 1,
            "name": facts.name,
            "licence": facts.licence,
            "colour_order": "RGB",
            "crop_size": crop_size,
            "pairs_per_clip": facts.pairs_per_clip,
            "crop_margin": facts.crop_margin,
            "face_score_threshold": facts.face_score_threshold,
            "flow_encoding": flow_encoding,
            "weights_storage": weights_storage,
            "graphs": {name: {"fp32": _file_entry(scratch / f"{name}.onnx")} for name in names},
            "temperature": temperature,
            "thresholds": [asdict(point) for point in facts.thresholds],
            "training_data": [asdict(source) for source in facts.training_data],
            "certificates": list(facts.certificates),
        }
        text = json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False)
        (scratch / MANIFEST_NAME).write_text(text + "\n", encoding="utf-8")
        scratch.chmod(0o755)  # mkdtemp makes folders that only their owner can open
        _take_place(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def require_replaceable(folder: Path) -> None:
    """Refuse a folder whose content a new bundle must not delete.

    Raises:
        InputError: it is a file, or holds anything but a bundle: a readable manifest, graphs and papers.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"'{folder}' is a file; give the folder that is to become the bundle")
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


def _file_entry(path: Path) -> dict[str, object]:
    data = path.read_bytes()
    return {"file": path.name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def _take_place(scratch: Path, folder: Path) -> None:
    """Rename the finished folder to its place; an old bundle steps aside first and is restored on failure."""
    if not folder.exists():
        scratch.rename(folder)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
    aside.rmdir()
    folder.rename(aside)
    try:
        scratch.rename(folder)
    except OSError:
        aside.rename(folder)
        raise
    shutil.rmtree(aside)
