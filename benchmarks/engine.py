"""Times whole files, from path to verdict: the original method's demo, the engine, and its anytime mode.

    python -m flowtell.benchmarks.engine VIDEO... --out result.json [--files N] [--whole N] [--picture P.png]

Every contender judges a file before the next file begins, in an order that turns from file to file, so that
a machine that slows down for a while slows all of them. Before a file is timed, the reference judges the
engine's own crops, and the run ends where their probabilities differ. Figures are kept file by file in the
result, and a run that is begun again goes on where it stopped.

For each contender: pairs a second and files a second, median and quartiles over the files. For the engine:
the share of each stage, and the detector's rate beside the best float32 matrix product of the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

import flowtell
from flowtell.benchmarks._arguments import new_file
from flowtell.benchmarks.calibration import best_gemm
from flowtell.benchmarks.graph_cost import graph_cost
from flowtell.benchmarks.machine import machine_context
from flowtell.benchmarks.pages import stages_picture
from flowtell.benchmarks.statistics import quantile
from flowtell.training.run_folder import whole_file, write_json

__all__ = ["main", "summary"]

SAME_PROBABILITY = 1e-3
"""Of a pair: flow that differs in its sixth digit passes through the hues of the colour wheel, which jump."""

OURS = "flowtell, cpu"
CLIPS = 4
ERROR_RATE = 0.05


def main(argv=None):
    """Run the comparison; return 0, or 1 where outputs differ."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    args = _arguments(argv)
    videos = args.video[: args.files]
    report = _opened(args.out, args.bundle)
    contenders, models = _contenders(args)
    report["gflop_per_pair"] = _gflop_per_pair(contenders[OURS].bundle)
    report["threads"] = contenders[OURS].threads
    pairs = CLIPS * contenders[OURS].bundle.manifest.pairs_per_clip
    for index, video in enumerate(videos):
        name = "/".join(video.parts[-2:])
        entry = report["files"].setdefault(name, {})
        if entry.get("done") == _wanted(args, index, contenders):
            continue
        print(f"{index + 1}/{len(videos)} {name}", file=sys.stderr)
        difference = _difference(video, contenders[OURS], models)
        entry["largest_difference_of_probability"] = difference
        if difference is not None and difference > SAME_PROBABILITY:
            print(f"{name}: probabilities differ by {difference:.1e}; nothing was timed", file=sys.stderr)
            return 1
        names = list(contenders)
        for turn in range(len(names)):
            contender = names[(turn + index) % len(names)]
            whole = index < args.whole and contender == OURS
            entry[contender] = _timed(contenders[contender], video, pairs, whole)
        entry["gemm_gflops"], _ = best_gemm()
        entry["done"] = _wanted(args, index, contenders)
        write_json(args.out, report)
    report["summary"] = summary(report)
    write_json(args.out, report)
    print(json.dumps(report["summary"], indent=1))
    if args.picture:
        with whole_file(args.picture) as scratch:
            scratch.write_bytes(stages_picture(report["summary"]))
    return 0


def _arguments(argv):
    parser = argparse.ArgumentParser(
        prog="python -m flowtell.benchmarks.engine",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("video", nargs="+", type=Path, metavar="VIDEO")
    parser.add_argument(
        "--out", type=new_file, required=True, help="the result; a run goes on where it stopped"
    )
    parser.add_argument("--files", type=int, metavar="N", help="only the first N videos")
    parser.add_argument(
        "--whole", type=int, default=0, metavar="N", help="judge the first N whole, and anytime besides"
    )
    parser.add_argument("--bundle", type=Path, default=flowtell.default_bundle_path(), metavar="DIR")
    parser.add_argument("--picture", type=new_file, help="draw the shares of the stages there")
    return parser.parse_args(argv)


def _opened(path, bundle):
    """Return the report at `path`, or a new one where it is of another machine or bundle."""
    sha256 = flowtell.Bundle.open(bundle).sha256
    fresh = {
        "kind": "flowtell.benchmarks.engine",
        "machine": machine_context(),
        "bundle_sha256": sha256,
        "clips_per_file": CLIPS,
        "error_rate": ERROR_RATE,
        "files": {},
    }
    if not path.is_file():
        return fresh
    kept = json.loads(path.read_text(encoding="utf-8"))
    alike = kept.get("bundle_sha256") == sha256 and kept.get("machine") == fresh["machine"]
    return kept if alike else fresh


def _contenders(args):
    from flowtell.export import keras_from_bundle

    models = keras_from_bundle(args.bundle)
    contenders = {
        OURS: flowtell.Detector.open(args.bundle, provider="cpu"),
        "original demo in Keras": models,
    }
    try:
        contenders["flowtell, openvino"] = flowtell.Detector.open(args.bundle, provider="openvino")
    except flowtell.ProviderError as error:
        print(f"without openvino: {error}", file=sys.stderr)
    return contenders, models


def _difference(video, detector, models):
    """Return how far the probabilities of both lie apart on the engine's crops; None where there is none."""
    from flowtell.training.reference import judge_crops

    clips = [clip.frames for clip in flowtell.iter_face_clips(video, detector.bundle, max_clips=1)]
    if not clips:
        return None
    wanted = np.array(judge_crops(clips, models).pair_probabilities)
    got = 1 / (1 + np.exp(-detector.score_clips(clips[0][None]).pair_logits[0].astype(np.float64)))
    return float(np.abs(got - wanted).max())


def _timed(contender, video, pairs, whole):
    """Return the figures of one contender for one file of which it judges so many pairs."""
    if not isinstance(contender, flowtell.Detector):
        from flowtell.training.reference import judge_video

        begun_s = time.perf_counter()
        verdict = judge_video(video, contender, pairs=pairs)
        spent_s = time.perf_counter() - begun_s
        return {"pairs": len(verdict.pair_probabilities), "s": spent_s, "stages_ms": verdict.timing_ms}
    figures = _detect(contender, video, flowtell.Effort(max_clips=CLIPS))
    if whole:
        figures["whole"] = _detect(contender, video, flowtell.Effort())
        figures["anytime"] = _detect(contender, video, flowtell.Effort(error_rate=ERROR_RATE))
    return figures


def _detect(detector, video, effort):
    begun_s = time.perf_counter()
    result = detector.detect(video, effort=effort)
    spent_s = time.perf_counter() - begun_s
    stages = {name: value for name, value in vars(result.timing_ms).items() if name != "total"}
    return {
        "pairs": result.pairs_judged,
        "of": result.pairs_total,
        "s": spent_s,
        "stages_ms": stages,
        "verdict": result.verdict,
        "fake_probability": result.fake_probability,
        "stopped": result.stopped,
        "precision": result.precision,
    }


def _gflop_per_pair(bundle):
    side, pairs = bundle.manifest.crop_size, bundle.manifest.pairs_per_clip
    clip = np.zeros((1, pairs + 1, side, side, 3), np.uint8)
    return graph_cost(bundle.read_graph("detector"), {"clips": clip}).gflop / pairs


def _wanted(args, index, contenders):
    return [*sorted(contenders), index < args.whole]


def summary(report):
    """Return the figures of a report over its files: rates, shares, and what anytime saved and changed."""
    done = [entry for entry in report["files"].values() if "done" in entry]
    names = sorted({name for entry in done for name in entry if isinstance(entry[name], dict)})
    ceiling = max((entry["gemm_gflops"] for entry in done), default=0.0)
    out = {"files": len(done), "best_gemm_gflops": ceiling}
    for name in names:
        ran = [entry[name] for entry in done if name in entry and entry[name]["pairs"]]
        if not ran:
            continue
        rates = [figures["pairs"] / figures["s"] for figures in ran]
        total = {stage: sum(f["stages_ms"][stage] for f in ran) for stage in ran[0]["stages_ms"]}
        out[name] = {
            "pairs_per_s": _spread(rates),
            "files_per_s": _spread([1 / figures["s"] for figures in ran]),
            "stage_share": {stage: value / sum(total.values()) for stage, value in total.items()},
        }
        if "detector" in total:
            wall_ms = 1e3 * sum(figures["s"] for figures in ran)
            busy_ms = total["detector"] / report["threads"]
            pairs = sum(figures["pairs"] for figures in ran)
            rate = report["gflop_per_pair"] * pairs / (busy_ms / 1e3)
            out[name]["detector_share_of_wall"] = busy_ms / wall_ms
            out[name]["detector_gflops"] = rate
            out[name]["detector_share_of_gemm"] = rate / ceiling
        looked = [figures for figures in ran if "whole" in figures]
        if looked:
            out[name]["anytime"] = _anytime(looked)
    return out


def _anytime(looked):
    faster = [figures["whole"]["s"] / figures["anytime"]["s"] for figures in looked]
    flips = {"to fake": 0, "to original": 0}
    for figures in looked:
        if figures["whole"]["verdict"] != figures["anytime"]["verdict"]:
            flips[f"to {figures['anytime']['verdict']}"] += 1
    return {
        "files": len(looked),
        "flips": flips,
        "times_faster": _spread(faster),
        "times_faster_in_all": sum(f["whole"]["s"] for f in looked) / sum(f["anytime"]["s"] for f in looked),
        "pairs_share": sum(f["anytime"]["pairs"] for f in looked) / sum(f["whole"]["pairs"] for f in looked),
    }


def _spread(values):
    low, middle, high = (quantile(values, share) for share in (0.25, 0.5, 0.75))
    return {"median": round(middle, 3), "quartiles": [round(low, 3), round(high, 3)]}


if __name__ == "__main__":
    sys.exit(main())
