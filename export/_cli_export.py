"""``flowtell export``: a trained model, or a bundle, to a bundle or to one of its networks."""

from __future__ import annotations

import argparse
from pathlib import Path

from flowtell import InputError
from flowtell.export._bundle_folder import make_folder, require_replaceable
from flowtell.export.bundle import (
    export_classifier,
    export_flow,
    facts_from_bundle,
    keras_from_bundle,
    write_bundle,
)
from flowtell.export.model_folder import read_model_folder
from flowtell.export.storage import STORAGE_PLANS

_NETWORKS = {"classifier": export_classifier, "flow": export_flow}


def main(argv: list[str]) -> int:
    """Export what ``argv`` names; return 0."""
    arguments = _parser().parse_args(argv[1:])
    if not arguments.model.is_dir():
        raise InputError(
            f"there is no folder '{arguments.model}': give a model folder that training wrote, or a bundle"
        )
    is_bundle = (arguments.model / "manifest.json").is_file()
    storage = arguments.storage or ("float32" if arguments.only else "compact")
    if arguments.only:
        models = keras_from_bundle(arguments.model) if is_bundle else read_model_folder(arguments.model)[0]
        make_folder(arguments.out)
        written = arguments.out / f"{arguments.only}.onnx"
        _NETWORKS[arguments.only](models, written, storage)
        print(f"{written}: {written.stat().st_size / 1e6:.1f} MB")
        return 0
    require_replaceable(arguments.out)
    if is_bundle:
        models = keras_from_bundle(arguments.model)
        facts, papers = facts_from_bundle(arguments.model)
    else:
        models, facts, papers = read_model_folder(arguments.model)
    write_bundle(arguments.out, models, facts, papers, storage)
    size = sum(file.stat().st_size for file in arguments.out.iterdir())
    print(
        f"{arguments.out}: {size / 1e6:.1f} MB; compare it with its model: flowtell check {arguments.out} ..."
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="flowtell export", description="Turn a Keras model into a bundle.")
    parser.add_argument("model", type=Path, metavar="MODEL", help="a folder that training wrote, or a bundle")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write")
    parser.add_argument(
        "--only",
        choices=sorted(_NETWORKS),
        help="write this network on its own, as FOLDER/NAME.onnx, instead of a bundle",
    )
    parser.add_argument(
        "--storage",
        choices=sorted(STORAGE_PLANS),
        help="how weights are stored; both compute in float32 (default: compact for a bundle, else float32)",
    )
    return parser
