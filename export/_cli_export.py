"""``flowtell export``: a trained model, or a bundle, to a bundle or to one of its networks."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from flowtell import Bundle, InputError
from flowtell.export._bundle_folder import make_folder, require_no_file, require_replaceable
from flowtell.export._cli_arguments import add_clip_arguments
from flowtell.export._graph_builder import save
from flowtell.export._stages import StageLog
from flowtell.export._trace import require_tensorflow
from flowtell.export.bundle import (
    export_classifier,
    export_flow,
    facts_from_bundle,
    keras_from_bundle,
    write_bundle,
)
from flowtell.export.derivation import derive_bundle
from flowtell.export.gate import GateRefusedError
from flowtell.export.graphs import flow_network_graph
from flowtell.export.model_folder import read_model_folder, write_model_folder
from flowtell.export.precision import DERIVED
from flowtell.export.storage import STORAGE_PLANS
from flowtell.export.torch_pwcnet import TORCH_SUFFIXES, pwcnet_from_torch

_CLIPS_PER_FILE, _PAIRS = 4, 16
_NETWORKS = {"classifier": export_classifier, "flow": export_flow}


def main(argv: list[str]) -> int:
    """Export what ``argv`` names; return 0, or 1 where the gate refuses it."""
    arguments = _parser().parse_args(argv[1:])
    log = StageLog()
    require_no_file(arguments.out)
    is_torch = arguments.model.is_file() and arguments.model.suffix in TORCH_SUFFIXES
    if not is_torch and not arguments.model.is_dir():
        raise InputError(
            f"there is no folder '{arguments.model}': give a model folder that training wrote, or a bundle"
        )
    without = "--only" if arguments.only else "--keras" if arguments.keras else None
    if without and (arguments.precision or arguments.clips):
        raise InputError(f"{without} writes no bundle: --precision and --clips say nothing beside it")
    if arguments.keras and arguments.storage:
        raise InputError("--keras writes weights as the bundle stores them: --storage says nothing beside it")
    if arguments.precision and not arguments.clips:
        raise InputError("a precision is gated on videos: name some with --clips")
    if not arguments.clips and (arguments.clips_per_file, arguments.pairs) != (_CLIPS_PER_FILE, _PAIRS):
        raise InputError("--clips-per-file and --pairs are of the gate's videos: name some with --clips")
    if not arguments.keras:
        require_tensorflow()  # said before a folder is made
    if is_torch:
        return _export_torch(arguments, log)
    if arguments.only:
        return _export_network(arguments, log)
    if arguments.keras:
        if not _is_bundle(arguments.model):
            raise InputError(f"'{arguments.model}' is a model folder already; --keras takes a bundle apart")
        make_folder(arguments.out)
        if any(arguments.out.iterdir()):
            raise InputError(f"'{arguments.out}' is not empty: --keras writes a new folder")
        write_model_folder(
            arguments.out, keras_from_bundle(arguments.model), *facts_from_bundle(arguments.model)
        )
        print(f"{arguments.out}: a model folder, for flowtell evaluate and flowtell train")
        return 0
    require_replaceable(arguments.out)
    _require_nothing_lost(arguments)
    try:
        _export_bundle(arguments, log)
    except GateRefusedError as error:
        print(f"flowtell: nothing was written: {error}", file=sys.stderr)
        return 1
    size = sum(file.stat().st_size for file in arguments.out.iterdir())
    print(
        f"{arguments.out}: {size / 1e6:.1f} MB; see that it computes what its weights say: flowtell check "
        f"{arguments.out} --against self --clips VIDEO"
    )
    return 0


def _require_nothing_lost(arguments: argparse.Namespace) -> None:
    """Refuse to leave out detectors that were derived from a bundle's stored copy, unless that is asked for.

    Raises:
        InputError: its stored copy is written anew, and a precision that it holds is not derived again, where
            it replaces itself or nobody named a storage.
    """
    source, out = arguments.model, arguments.out
    if not _is_bundle(source) or _keeps_stored_copy(arguments):
        return
    held = Bundle.open(source).precisions("detector")
    lost = [precision for precision in held if precision not in ("fp32", *arguments.precision)]
    if lost and source.resolve() != out.resolve() and arguments.storage is None:
        raise InputError(
            f"'{out}' would lack the detectors in {', '.join(lost)} of '{source}', since its stored copy is "
            "written anew: have them go along by naming videos with --clips, or say how with --storage"
        )
    if lost and source.resolve() == out.resolve():
        raise InputError(
            f"'{out}' would lose its detectors in {', '.join(lost)}, since its stored copy is written anew: "
            "give another folder, or derive them again with --precision and --clips"
        )


def _export_network(arguments: argparse.Namespace, log: StageLog) -> int:
    with log.stage("read the models"):
        models = _is_bundle(arguments.model) and keras_from_bundle(arguments.model)
        models = models or read_model_folder(arguments.model)[0]
    make_folder(arguments.out)
    written = arguments.out / f"{arguments.only}.onnx"
    with log.stage(f"trace and write {arguments.only}.onnx"):
        _NETWORKS[arguments.only](models, written, arguments.storage or "float32")
    print(f"{written}: {written.stat().st_size / 1e6:.1f} MB")
    return 0


def _export_torch(arguments: argparse.Namespace, log: StageLog) -> int:
    """Write the flow network of a PyTorch file, all that such a file holds."""
    if arguments.only != "flow":
        raise InputError(f"'{arguments.model}' holds a flow network and no classifier: add --only flow")
    with log.stage("read the network"):
        network = pwcnet_from_torch(arguments.model)
    make_folder(arguments.out)
    written = arguments.out / "flow.onnx"
    with log.stage("trace and write flow.onnx"):
        save(flow_network_graph(network, STORAGE_PLANS[arguments.storage or "float32"].choose), written)
    print(f"{written}: {written.stat().st_size / 1e6:.1f} MB")
    return 0


def _export_bundle(arguments: argparse.Namespace, log: StageLog) -> None:
    """Write the bundle; with ``--clips`` it is gated, and more precisions are derived from its one copy."""
    source, wanted = arguments.model, (arguments.precision, arguments.clips)
    if _keeps_stored_copy(arguments):
        _derive(source, arguments, log)
        return
    with log.stage("read the models"):
        if _is_bundle(source):
            models = keras_from_bundle(source)
            facts, papers = facts_from_bundle(source)
        else:
            models, facts, papers = read_model_folder(source)
    storage = arguments.storage or _storage_of(source)
    if not any(wanted):
        with log.stage("trace and write the bundle"):
            write_bundle(arguments.out, models, facts, papers, storage)
        return
    with tempfile.TemporaryDirectory(prefix="flowtell-") as scratch:
        with log.stage("trace and write the stored copy"):
            write_bundle(Path(scratch) / "stored", models, facts, papers, storage)
        _derive(Path(scratch) / "stored", arguments, log)


def _derive(source: Path, arguments: argparse.Namespace, log: StageLog) -> None:
    derive_bundle(
        source,
        arguments.out,
        arguments.precision,
        arguments.clips,
        arguments.clips_per_file,
        arguments.pairs,
        log,
    )


def _keeps_stored_copy(arguments: argparse.Namespace) -> bool:
    return _is_bundle(arguments.model) and arguments.storage is None and bool(arguments.clips)


def _storage_of(source: Path) -> str:
    """Return how weights are stored where nobody says: as a bundle has them, a trained model's compactly."""
    stated = Bundle.open(source).manifest.weights_storage if _is_bundle(source) else None
    return next((name for name, plan in STORAGE_PLANS.items() if plan.description == stated), "compact")


def _is_bundle(folder: Path) -> bool:
    return (folder / "manifest.json").is_file()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="flowtell export",
        description="Turn a Keras model into a bundle, or derive further precisions of a bundle.",
        epilog="Exit code: 0 written, 1 the gate refused it and nothing was written, 2 wrong usage.",
    )
    parser.add_argument(
        "model",
        type=Path,
        metavar="MODEL",
        help="a folder that training wrote, a bundle, or a PyTorch PWC-Net (.pth, .safetensors)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--only",
        choices=sorted(_NETWORKS),
        help="write this network on its own, as FOLDER/NAME.onnx, instead of a bundle",
    )
    instead.add_argument(
        "--keras",
        action="store_true",
        help="take a bundle apart into a model folder, new or empty, with weights as the bundle stores them",
    )
    parser.add_argument(
        "--precision",
        choices=DERIVED,
        nargs="+",
        default=[],
        help="add detectors that compute in these, derived from the stored fp32 copy; needs --clips. Others "
        "that a bundle MODEL holds go along, unless --storage has the stored copy written anew",
    )
    add_clip_arguments(parser, _CLIPS_PER_FILE, _PAIRS, required=False)
    parser.add_argument(
        "--storage",
        choices=sorted(STORAGE_PLANS),
        help="how weights are stored; both compute in float32 (default: as in MODEL where that is a bundle, "
        "else compact; float32 with --only)",
    )
    return parser
