"""``flowtell check``: how far a bundle lies from its Keras models."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from flowtell import Bundle
from flowtell.export._cli_arguments import add_clip_arguments
from flowtell.export.bundle import keras_from_bundle
from flowtell.export.flow_picture import draw_worst_flow, require_picture
from flowtell.export.gate import Verdict, judge_precision
from flowtell.export.gate_clips import clips_of_files
from flowtell.export.limits import LIMITS
from flowtell.export.model_folder import read_model_folder

# Figure, what the table calls it, and its unit.
_ROWS = (
    ("crop_levels", "crop, against its definition: largest", "levels"),
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
    ("clip_logit", "clip end to end, logit: largest", ""),
    ("verdict_flips", "verdict flips", "clips"),
)


def main(argv: list[str]) -> int:
    """Compare what ``argv`` names; return 0 where every figure is within its limit, else 1."""
    arguments = _parser().parse_args(argv[1:])
    bundle = Bundle.open(arguments.bundle)
    # said before minutes of work, not after
    bundle.read_graph("detector", arguments.precision)
    if arguments.picture is not None:
        require_picture(arguments.picture)
    if arguments.against == "self":
        models = keras_from_bundle(arguments.bundle)
    else:
        models = read_model_folder(Path(arguments.against))[0]
    clips = list(clips_of_files(arguments.clips, bundle, arguments.clips_per_file, arguments.pairs))
    verdict = judge_precision(models, bundle, arguments.precision, clips)
    if arguments.json:
        print(json.dumps(_report(bundle, arguments.against, verdict)))
    else:
        print("\n".join([*_table(verdict), *_findings(verdict)]))
        storage = bundle.manifest.weights_storage
        if verdict.beyond and arguments.against != "self" and storage != "fp32":
            print(
                f"the bundle stores its weights otherwise than they were trained ({storage}), and what that "
                "changes is among these figures: compare with --against self, or export with --storage "
                "float32"
            )
    if arguments.picture is not None:
        draw_worst_flow(verdict.comparison.worst_flow, arguments.picture)
    return 1 if verdict.beyond else 0


def _report(bundle: Bundle, against: str, verdict: Verdict) -> dict[str, object]:
    worst = verdict.comparison.worst_flow
    return {
        "bundle": {
            "name": bundle.manifest.name,
            "sha256": bundle.sha256,
            "weights_storage": bundle.manifest.weights_storage,
        },
        **verdict.certificate(against),
        "beyond": verdict.beyond,
        "stage": verdict.stage,
        "difference": asdict(verdict.difference) if verdict.difference else None,
        "worst_flow": {"clip": worst.clip.name, "pair": worst.pair, "mean_epe_px": worst.mean_epe_px},
        "worst_clip": verdict.comparison.worst_clip.name,
    }


def _table(verdict: Verdict) -> list[str]:
    figures, limits = verdict.comparison.figures, verdict.limits
    values = asdict(figures)
    lines = [
        f"{_counted(figures.clips, 'face clip')}, {_counted(figures.pairs, 'pair')}, {verdict.precision}",
        f"{'difference':48}{'measured':>10}  {'limit':>6}",
    ]
    for name, label, unit in _ROWS:
        limit = limits.get(name)
        value = str(values[name]) if isinstance(values[name], int) else f"{values[name]:.1e}"
        if limit is None:
            bound, state = "", ""
        else:
            bound = str(limit.value) if isinstance(limit.value, int) else f"{limit.value:.0e}"
            state = "BEYOND" if name in verdict.beyond else "within"
        lines.append(f"{label:48}{value:>10}  {bound:>6}  {unit:6}  {state}".rstrip())
    return lines


def _findings(verdict: Verdict) -> list[str]:
    """Return what stands out, one line each."""
    flow, drift = verdict.comparison.worst_flow, verdict.comparison.worst_clip_logit
    lines = [
        f"worst flow: {flow.clip.name}, pair {flow.pair}: {flow.mean_epe_px:.1e} px on average",
        f"worst clip: {verdict.comparison.worst_clip.name}: {drift:.1e} in its logit",
    ]
    if verdict.stage:
        lines.append(f"first stage beyond its limits: {verdict.stage}")
    if verdict.difference:
        lines.append(str(verdict.difference))
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
        "--precision",
        choices=sorted(LIMITS),
        default="fp32",
        help="which of its detectors (default: fp32); fp16 and bf16 are rounded as a device would",
    )
    add_clip_arguments(parser, clips_per_file=1, pairs=4, required=True)
    parser.add_argument(
        "--picture",
        type=Path,
        metavar="FILE",
        help="draw the pair whose flow differs most (needs matplotlib)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser
