"""``flowtell check``: how far a bundle lies from its Keras models."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from flowtell import Bundle
from flowtell.export.bundle import keras_from_bundle
from flowtell.export.limits import FP32_LIMITS
from flowtell.export.model_folder import read_model_folder
from flowtell.export.parity import Figures, beyond_limits, clips_of_files, compare


def main(argv: list[str]) -> int:
    """Compare what ``argv`` names; return 0 where every figure is within its limit, else 1."""
    arguments = _parser().parse_args(argv[1:])
    bundle = Bundle.open(arguments.bundle)
    if arguments.against == "self":
        models = keras_from_bundle(arguments.bundle)
    else:
        models = read_model_folder(Path(arguments.against))[0]
    clips = clips_of_files(arguments.clips, bundle, arguments.clips_per_file, arguments.pairs)
    figures = compare(models, bundle, clips)
    beyond = beyond_limits(figures)
    if arguments.json:
        print(json.dumps(_report(bundle, arguments.against, figures, beyond)))
    else:
        print("\n".join(_table(figures, beyond)))
    return 1 if beyond else 0


def _report(bundle: Bundle, against: str, figures: Figures, beyond: list[str]) -> dict[str, object]:
    limits = {name: limit.value for name, limit in FP32_LIMITS.items()}
    identity = {"name": bundle.manifest.name, "sha256": bundle.sha256}
    return {
        "bundle": identity,
        "against": against,
        "provider": "CPUExecutionProvider",
        "figures": asdict(figures),
        "limits": limits,
        "beyond": beyond,
    }


def _table(figures: Figures, beyond: list[str]) -> list[str]:
    values = asdict(figures)
    lines = [
        f"{figures.clips} face clips, {figures.pairs} pairs",
        f"{'figure':24}{'measured':>12}{'limit':>10}",
    ]
    for name, limit in FP32_LIMITS.items():
        verdict = "BEYOND" if name in beyond else "within"
        lines.append(f"{name:24}{values[name]:12.2e}{limit.value:10.0e} {limit.unit:6}{verdict}")
    return lines


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="flowtell check", description="Compare a bundle with its Keras model, stage by stage."
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the bundle's folder")
    parser.add_argument(
        "--against",
        required=True,
        metavar="MODEL",
        help="a folder that training wrote, or 'self': Keras models rebuilt from the bundle's own weights",
    )
    parser.add_argument(
        "--clips", type=Path, nargs="+", required=True, metavar="PATH", help="videos, or folders of videos"
    )
    parser.add_argument("--clips-per-file", type=_positive, default=1, metavar="N", help="default: 1")
    parser.add_argument("--pairs", type=_positive, default=4, metavar="N", help="of each clip; default: 4")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value
