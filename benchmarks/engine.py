"""Times whole files, from path to verdict: the original method's demo, the engine, and its anytime mode.

    python -m flowtell.benchmarks.engine VIDEO... --out result.json [--whole N] [--anytime N] [--picture P]

Every contender judges a file before the next file begins, in an order that turns from file to file, so that
a machine that slows down for a while slows all of them. Before a file is timed, the reference judges the
engine's own crops, and the run ends where their probabilities differ. Figures are kept file by file in the
result, and a run that is begun again goes on where it stopped.

For each contender: pairs a second and files a second, median and quartiles over the files; how many times
the original's pairs a second, file by file; and verdicts that are not those of the engine in float32. For the
engine: the share of each stage, and the detector's rate beside the best float32 matrix product of the same
run. With --bundle a derived bundle, its other precisions run too, on OpenVINO; the last of them is the one
whose anytime mode is measured.
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
from flowtell._cli_quiet import hush_tensorflow
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
ORIGINAL = "original demo in Keras"
CLIPS = 4
ERROR_RATE = 0.05


def main(argv=None):
    """Run the comparison; return 0, 1 where outputs differ, or 2 for wrong usage."""
    hush_tensorflow()
    args = _arguments(argv)
    try:
        return _run(args)
    except flowtell.FlowtellError as error:
        print(f"flowtell: {error}", file=sys.stderr)
        return 2


def _run(args):
    videos = args.video[: args.files]
    report = _opened(args.out, args.bundle)
    contenders, models = _contenders(args)
    report["gflop_per_pair"] = _gflop_per_pair(contenders[OURS].bundle)
    report["threads"] = contenders[OURS].threads
    pairs = CLIPS * contenders[OURS].bundle.manifest.pairs_per_clip
    # what they share of their paths says nothing and may be private
    shared = os.path.commonpath([video.resolve().parent for video in args.video])
    for index, video in enumerate(videos):
        name = video.resolve().relative_to(shared).as_posix()
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
            anytime = contender == names[-1] and index < args.anytime
            whole = anytime or index < args.whole
            entry[contender] = _timed(contenders[contender], video, pairs, whole, anytime)
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
        "--whole", type=int, default=0, metavar="N", help="besides, judge every pair of the first N"
    )
    parser.add_argument(
        "--anytime",
        type=int,
        default=0,
        metavar="N",
        help="judge the first N anytime, and whole",
    )
    parser.add_argument("--bundle", type=Path, default=flowtell.default_bundle_path(), metavar="DIR")
    parser.add_argument("--picture", type=new_file, help="draw the shares of the stages there")
    return parser.parse_args(argv)


def _opened(path, bundle):
    """Return the report at `path`, or a new one where there is none.

    Raises:
        InputError: the file holds anything else than a run of this bundle on this machine.
    """
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
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        alike = [kept[name] == fresh[name] for name in ("kind", "bundle_sha256", "machine")]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise flowtell.InputError(
            f"'{path}' holds no run of this benchmark ({error}): name a new file with --out"
        ) from error
    if not all(alike):
        raise flowtell.InputError(
            f"'{path}' holds a run of another bundle or machine: name a new file with --out"
        )
    return kept


def _contenders(args):
    from flowtell.export import keras_from_bundle

    models = keras_from_bundle(args.bundle)
    contenders = {
        OURS: flowtell.Detector.open(args.bundle, provider="cpu"),
        ORIGINAL: models,
    }
    for precision in contenders[OURS].bundle.precisions("detector"):
        name = "flowtell, openvino" if precision == "fp32" else f"flowtell, openvino {precision}"
        try:
            contenders[name] = flowtell.Detector.open(args.bundle, provider="openvino", precision=precision)
        except flowtell.ProviderError as error:
            print(f"without {name}: {error}", file=sys.stderr)
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


def _timed(contender, video, pairs, whole, anytime):
    """Return the figures of one contender for one file of which it judges so many pairs, and then all."""
    if not isinstance(contender, flowtell.Detector):
        figures = _as_original(contender, video, pairs)
        return figures | ({"whole": _as_original(contender, video, None)} if whole else {})
    figures = _detect(contender, video, flowtell.Effort(max_clips=CLIPS))
    if whole:
        figures["whole"] = _detect(contender, video, flowtell.Effort())
    if anytime:
        figures["anytime"] = _detect(contender, video, flowtell.Effort(error_rate=ERROR_RATE))
    return figures


def _as_original(models, video, pairs):
    from flowtell.training.reference import judge_video

    begun_s = time.perf_counter()
    verdict = judge_video(video, models, pairs=pairs)
    spent_s = time.perf_counter() - begun_s
    return {"pairs": len(verdict.pair_probabilities), "s": spent_s, "stages_ms": verdict.timing_ms}


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
    return [*sorted(contenders), index < args.whole, index < args.anytime]


def summary(report):
    """Return the figures of a report over its files: rates, shares, and what anytime saved and changed.

    Of each contender's 4 clips a file, and under `whole` of every pair of the files that all judged whole.
    """
    done = [entry for entry in report["files"].values() if "done" in entry]
    names = sorted({name for entry in done for name in entry if isinstance(entry[name], dict)})
    ceiling = max((entry["gemm_gflops"] for entry in done), default=0.0)
    out = {"files": len(done), "best_gemm_gflops": ceiling}
    sampled = [{name: entry[name] for name in names if name in entry} for entry in done]
    wholes = [{name: e[name]["whole"] for name in e if "whole" in e[name]} for e in sampled]
    wholes = [entry for entry in wholes if len(entry) == len(names)]
    for name in names:
        figures = _contender(name, sampled, report, ceiling)
        if figures is None:
            continue
        out[name] = figures
        if wholes:
            out[name]["whole"] = _contender(name, wholes, report, ceiling)
        looked = [entry for entry in sampled if "anytime" in entry.get(name, {})]
        if looked:
            out[name]["anytime"] = _anytime(name, looked)
    return out


def _contender(name, entries, report, ceiling):
    """Return the figures of one contender over files, each name -> its figures; None where it judged none."""
    judged = [entry for entry in entries if entry.get(name, {}).get("pairs")]
    ran = [entry[name] for entry in judged]
    if not ran:
        return None
    total = {stage: sum(f["stages_ms"][stage] for f in ran) for stage in ran[0]["stages_ms"]}
    out = {
        "files": len(ran),
        "pairs_per_s": _spread([_rate(figures) for figures in ran]),
        "files_per_s": _spread([1 / figures["s"] for figures in ran]),
        "stage_share": {stage: value / sum(total.values()) for stage, value in total.items()},
    }
    beside = [entry for entry in judged if entry.get(ORIGINAL, {}).get("pairs")]
    if beside:
        times = [_rate(entry[name]) / _rate(entry[ORIGINAL]) for entry in beside]
        out["times_the_original"] = _spread(times)
    if "verdict" in ran[0]:
        out["other_verdicts"] = sum(entry[name]["verdict"] != entry[OURS]["verdict"] for entry in judged)
    if "detector" in total:
        wall_ms = 1e3 * sum(figures["s"] for figures in ran)
        busy_ms = total["detector"] / report["threads"]
        rate = report["gflop_per_pair"] * sum(figures["pairs"] for figures in ran) / (busy_ms / 1e3)
        out["detector_share_of_wall"] = busy_ms / wall_ms
        out["detector_gflops"] = rate
        out["detector_share_of_gemm"] = rate / ceiling
    return out


def _rate(figures):
    return figures["pairs"] / figures["s"]


def _anytime(name, entries):
    """Return what anytime judging saves and changes beside judging everything, by itself or the original."""
    looked = [entry[name] for entry in entries]
    faster = [figures["whole"]["s"] / figures["anytime"]["s"] for figures in looked]
    beside = [entry for entry in entries if "whole" in entry.get(ORIGINAL, {})]
    original = [entry[ORIGINAL]["whole"]["s"] / entry[name]["anytime"]["s"] for entry in beside]
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
        **({"times_the_original": _spread(original)} if original else {}),
    }


def _spread(values):
    low, middle, high = (quantile(values, share) for share in (0.25, 0.5, 0.75))
    return {"median": round(middle, 3), "quartiles": [round(low, 3), round(high, 3)]}


if __name__ == "__main__":
    sys.exit(main())
