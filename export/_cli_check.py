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

# Figure, what the table calls it, and its unit.
_ROWS = (
    ("flow_max_epe", "flow, end-point difference: largest", "px"),
    ("flow_mean_epe", "flow, end-point difference: mean", "px"),
    ("flow_p99_epe", "flow, end-point difference: 99th percentile", "px"),
    ("classifier_probability", "classifier on one flow, probability: largest", ""),
    ("classifier_probability_mean", "classifier on one flow, probability: mean", ""),
    ("classifier_logit", "classifier on one flow, logit: largest", ""),
    ("classifier_logit_mean", "classifier on one flow, logit: mean", ""),
    ("pair_probability", "pair end to end, probability: largest", ""),
    ("pair_probability_mean", "pair end to end, probability: mean", ""),
    ("pair_logit", "pair end to end, logit: largest", ""),
    ("pair_logit_mean", "pair end to end, logit: mean", ""),
    ("verdict_flips", "verdict flips", "clips"),
)


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
        f"{_counted(figures.clips, 'face clip')}, {_counted(figures.pairs, 'pair')}",
        f"{'difference':48}{'measured':>10}  {'limit':>6}",
    ]
    for name, label, unit in _ROWS:
        limit = FP32_LIMITS.get(name)
        value = str(values[name]) if isinstance(values[name], int) else f"{values[name]:.1e}"
        if limit is None:
            bound, verdict = "", ""
        else:
            bound = str(limit.value) if isinstance(limit.value, int) else f"{limit.value:.0e}"
            verdict = "BEYOND" if name in beyond else "within"
        lines.append(f"{label:48}{value:>10}  {bound:>6}  {unit:5}  {verdict}".rstrip())
    return lines


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


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
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not '{text}'")
    return int(text)
