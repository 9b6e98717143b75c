"""Measures what each block of a detector loses in two bytes: where the lists in `precision` come from.

    python -m flowtell.export.sensitivity [BUNDLE] --clips VIDEO... [--pairs N] [--precision bf16]

Prints one JSON object. Each block in turn computes in float16 or bfloat16 (rounded as `round_halves` does),
all others in float32; then all of them, and all but those that `flowtell.export.precision` keeps. The
reference is the same graph in float32. About two minutes for the default bundle and four clips of two pairs
on two cores.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx

from flowtell import Bundle
from flowtell.export.blocks import node_blocks
from flowtell.export.gate_clips import clips_of_files
from flowtell.export.parity import graph_side
from flowtell.export.passes.round_halves import round_halves
from flowtell.export.passes.widen_weights import widen_weights
from flowtell.export.precision import FLOAT32_BLOCKS, HALVES, half_detector

__all__ = ["main", "sensitivities"]


def sensitivities(
    model: onnx.ModelProto, clips: Sequence[np.ndarray], precision: str = "fp16"
) -> dict[str, dict[str, float]]:
    """Return for each block what two bytes in it alone change: flow in px, logits of pairs.

    Args:
        model: a stored detector.
        clips: each ``uint8 [n + 1, S, S, 3]`` RGB.
        precision: ``fp16`` or ``bf16``.

    Returns:
        Block to ``flow_mean_epe``, ``flow_max_epe``, ``pair_logit_mean`` and ``pair_logit``, in the order of
        the graph; ``all`` and ``all but those kept`` last.
    """
    blocks = list(dict.fromkeys(node_blocks(widen_weights(model)).values()))
    reference = _run(widen_weights(model), clips)
    choices: dict[str, Callable[[str], bool]] = {
        block: lambda other, block=block: other != block for block in blocks
    }
    choices["all"] = lambda block: False
    choices["all but those kept"] = lambda block: bool(FLOAT32_BLOCKS[precision].match(block))
    found = {}
    for name, keeps_float32 in choices.items():
        flows, logits = _run(round_halves(half_detector(model, precision, keeps_float32)), clips)
        epe = np.linalg.norm(flows - reference[0], axis=-1)
        drift = np.abs(logits - reference[1])
        found[name] = {
            "flow_mean_epe": float(epe.mean()),
            "flow_max_epe": float(epe.max()),
            "pair_logit_mean": float(drift.mean()),
            "pair_logit": float(drift.max()),
        }
    return found


def _run(model: onnx.ModelProto, clips: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    judge = graph_side(model)
    judged = [judge(frames) for frames in clips]
    return np.concatenate([item.flow for item in judged]), np.concatenate([i.pair_logits for i in judged])


def main() -> None:
    """Measure and print; see the module."""
    parser = argparse.ArgumentParser(description="What each block of a detector loses in two bytes.")
    parser.add_argument("bundle", nargs="?", help="the bundle's folder (default: the packaged one)")
    parser.add_argument("--clips", type=Path, nargs="+", required=True, metavar="VIDEO")
    parser.add_argument("--pairs", type=int, default=2, metavar="N", help="of each clip; default: 2")
    parser.add_argument("--precision", choices=sorted(HALVES), default="fp16", help="default: fp16")
    arguments = parser.parse_args()
    bundle = Bundle.open(arguments.bundle)
    clips = [clip.frames for clip in clips_of_files(arguments.clips, bundle, 1, arguments.pairs)]
    model = onnx.load_model_from_string(bundle.read_graph("detector"))
    report = {
        "detector_sha256": bundle.manifest.graphs["detector"]["fp32"].sha256,
        "pairs": sum(len(frames) - 1 for frames in clips),
        "precision": arguments.precision,
        "blocks": sensitivities(model, clips, arguments.precision),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
