"""Times whole files, from path to verdict: the original method's demo, the engine, and its anytime mode.

    python -m flowtell.benchmarks.engine VIDEO... --out result.json [--whole N] [--anytime N] [--picture P]

Videos are judged by rows of six: every contender judges a row before the next one does, in an order that
turns from row to row, so that a machine that slows down for a while slows all of them. The engine reads the
next file of a row while the last clips of one are judged, as `flowtell detect FILE...` does; the original
takes file by file, and of files on which it finds no face neither its time nor its pairs count. It judges the
frames of the engine's clips, and has no more to decode than what lies before the last of them. Before a row
is timed, it judges crops of the engine's own of each file, and the run ends where their probabilities differ.
Figures are kept row by row in the result, and a run that is begun again goes on where it stopped.

For each contender: pairs a second and files a second, median and quartiles over the rows; how many times
the original's pairs a second, row by row; and verdicts that are not those of the engine in float32. For the
engine: the share of each stage, the share of the time in which a clip is judged, and the detector's rate
beside the best float32 matrix product of the same run. Of the first files (`--whole`, `--anytime`) every pair
is judged besides, by every contender or the last, file by file; of the former the engine judges 4 clips by
themselves, too. With --bundle a derived bundle, its other precisions run too, on OpenVINO; the last of them
is the one whose anytime mode is measured.
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
from flowtell.benchmarks._arguments import new_file, positive
from flowtell.benchmarks.busy_time import covered_s, watched_calls
from flowtell.benchmarks.calibration import best_gemm
from flowtell.benchmarks.engine_summary import CLIPS, ORIGINAL, OURS, summary
from flowtell.benchmarks.graph_cost import graph_cost
from flowtell.benchmarks.machine import machine_context
from flowtell.benchmarks.pages import stages_picture
from flowtell.training.run_folder import whole_file, write_json

__all__ = ["main"]

SAME_PROBABILITY = 1e-3
"""Of a pair: flow that differs in its sixth digit passes through the hues of the colour wheel, which jump."""

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
    report = _opened(args.out, args.bundle, args.row)
    contenders, models = _contenders(args)
    report["gflop_per_pair"] = _gflop_per_pair(contenders[OURS].bundle)
    report["threads"] = contenders[OURS].threads
    for number, row in enumerate(_rows(args)):
        first = number * args.row
        wanted = _wanted(args, first, len(row), contenders)
        entry = _entry_of(report, list(row), wanted)
        if "done" in entry:
            continue
        print(f"{first + 1} to {first + len(row)} of {len(args.video[: args.files])}", file=sys.stderr)
        spans, compared = _compared(row, contenders[OURS], models)
        entry["largest_difference_of_probability"] = max(compared.values(), default=None)
        for name, difference in compared.items():
            if difference > SAME_PROBABILITY:
                print(f"{name}: probabilities differ by {difference:.1e}; it is not timed", file=sys.stderr)
                return 1
        names = list(contenders)
        for turn in range(len(names)):
            _measure(entry, row, spans, contenders, names[(turn + number) % len(names)], first, args)
        entry["gemm_gflops"], _ = best_gemm()
        entry["done"] = wanted
        write_json(args.out, report)
    report["summary"] = summary(report)
    write_json(args.out, report)
    print(json.dumps(report["summary"], indent=1))
    if args.picture:
        with whole_file(args.picture) as scratch:
            scratch.write_bytes(stages_picture(report["summary"]))
    return 0


def _rows(args):
    """Yield the videos of each row by their names."""
    videos = args.video[: args.files]
    # what they share of their paths says nothing and may be private
    shared = os.path.commonpath([video.resolve().parent for video in args.video])
    for first in range(0, len(videos), args.row):
        row = videos[first : first + args.row]
        yield {video.resolve().relative_to(shared).as_posix(): video for video in row}


def _entry_of(report, files, wanted):
    """Return what was measured of a row, if it is what is wanted now, or where it is to be written.

    What stands in its way, a row of other files or of other measurements, goes.
    """
    for entry in report["rows"]:
        if (entry["files"], entry.get("done")) == (files, wanted):
            return entry
    report["rows"] = [entry for entry in report["rows"] if not set(files) & set(entry["files"])]
    report["rows"].append({"files": files, "sampled": {}, "alone": {}, "whole": {}, "anytime": {}})
    return report["rows"][-1]


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
        "--row",
        type=positive(int),
        default=6,
        metavar="N",
        help="videos that a contender judges in a row (default: 6)",
    )
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


def _opened(path, bundle, row):
    """Return the report at `path`, or a new one where there is none.

    Raises:
        InputError: the file holds anything else than a run of this bundle on this machine, in such rows.
    """
    opened = flowtell.Bundle.open(bundle)
    fresh = {
        "kind": "flowtell.benchmarks.engine",
        "machine": machine_context(),
        "bundle_sha256": opened.sha256,
        "detector_sha256": opened.manifest.graphs["detector"]["fp32"].sha256,
        "clips_per_file": CLIPS,
        "error_rate": ERROR_RATE,
        "original_judges": "the frames of the engine's clips",
        "row": row,
        "rows": [],
    }
    if not path.is_file():
        return fresh
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        told_apart = ("kind", "bundle_sha256", "machine", "original_judges", "row")
        alike = [kept[name] == fresh[name] for name in told_apart]
        kept["rows"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise flowtell.InputError(
            f"'{path}' holds no run of this benchmark ({error}): name a new file with --out"
        ) from error
    if not all(alike):
        raise flowtell.InputError(
            f"'{path}' holds a run of another bundle, machine or --row: name a new file with --out"
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


def _compared(row, detector, models):
    """Return the times of the engine's clips of each video, and the difference on the first where one is."""
    spans, differences = {}, {}
    for name, video in row.items():
        clips = _clips_of(video, detector.bundle)
        spans[name] = [(clip.start_s, clip.end_s) for clip in clips]
        if clips:
            differences[name] = _difference(clips[0].frames, detector, models)
    return spans, differences


def _clips_of(video, bundle):
    """Return the clips that the engine judges of a video, those of a broken one up to where it breaks."""
    clips = []
    try:
        clips.extend(flowtell.iter_face_clips(video, bundle, max_clips=CLIPS))
    except flowtell.DecodeError as error:
        print(f"{video.name}: {error}", file=sys.stderr)
    return clips


def _difference(clip, detector, models):
    """Return how far the probabilities of both lie apart on the crops of a clip of the engine's."""
    from flowtell.training.reference import judge_crops

    wanted = np.array(judge_crops([clip], models).pair_probabilities)
    got = 1 / (1 + np.exp(-detector.score_clips(clip[None]).pair_logits[0].astype(np.float64)))
    return float(np.abs(got - wanted).max())


def _sampled(contender, videos, spans):
    """Return the figures of one contender for 4 clips, or the frames of those, of each video of a row."""
    if not isinstance(contender, flowtell.Detector):
        judged = [_as_original(contender, *each) for each in zip(videos, spans, strict=True) if each[1]]
        if not judged:
            return {"files": 0, "pairs": 0, "s": 0.0, "stages_ms": {}}
        return _together([figures for figures in judged if figures["pairs"]] or judged)
    with watched_calls(contender) as calls:
        begun_s = time.perf_counter()
        results = list(contender.detect_many(videos, max_clips=CLIPS))
        ended_s = time.perf_counter()
    whole_row = {"s": ended_s - begun_s, "detector_at_work_s": covered_s(calls, begun_s, ended_s)}
    return _together([_figures(result, 0.0) for result in results]) | whole_row


def _together(judged):
    """Return the figures of files that were judged one after the other."""
    stages = {name: sum(figures["stages_ms"][name] for figures in judged) for name in judged[0]["stages_ms"]}
    sums = {name: sum(figures[name] for figures in judged) for name in ("files", "pairs", "s")}
    verdicts = [verdict for figures in judged for verdict in figures.get("verdicts", [])]
    return {**sums, "stages_ms": stages, **({"verdicts": verdicts} if verdicts else {})}


def _measure(entry, row, spans, contenders, contender, first, args):
    """Have one contender judge a row, and then what is wanted of each of its files."""
    model = contenders[contender]
    entry["sampled"][contender] = _sampled(model, list(row.values()), list(spans.values()))
    is_last = (
        contender == [name for name, each in contenders.items() if isinstance(each, flowtell.Detector)][-1]
    )
    for index, (name, video) in enumerate(row.items(), first):
        alone, whole, anytime = (entry[kind].setdefault(name, {}) for kind in ("alone", "whole", "anytime"))
        is_whole, is_anytime = index < args.whole, is_last and index < args.anytime
        if not isinstance(model, flowtell.Detector):
            if is_whole:
                whole[contender] = _as_original(model, video, None)
            continue
        if is_whole:
            alone[contender] = _detect(model, video, flowtell.Effort(max_clips=CLIPS))
        if is_whole or is_anytime:
            whole[contender] = _detect(model, video, flowtell.Effort())
        if is_anytime:
            anytime[contender] = _detect(model, video, flowtell.Effort(error_rate=ERROR_RATE))


def _as_original(models, video, spans):
    from flowtell.training.reference import judge_video

    begun_s = time.perf_counter()
    verdict = judge_video(video, models, spans=spans)
    spent_s = time.perf_counter() - begun_s
    return {
        "files": 1,
        "pairs": len(verdict.pair_probabilities),
        "s": spent_s,
        "stages_ms": verdict.timing_ms,
    }


def _detect(detector, video, effort):
    begun_s = time.perf_counter()
    result = detector.detect(video, effort=effort)
    return _figures(result, time.perf_counter() - begun_s)


def _figures(result, spent_s):
    stages = {name: value for name, value in vars(result.timing_ms).items() if name != "total"}
    return {
        "files": 1,
        "pairs": result.pairs_judged,
        "of": result.pairs_total,
        "s": spent_s,
        "stages_ms": stages,
        "verdicts": [result.verdict],
        "fake_probability": result.fake_probability,
        "stopped": result.stopped,
        "precision": result.precision,
    }


def _gflop_per_pair(bundle):
    side, pairs = bundle.manifest.crop_size, bundle.manifest.pairs_per_clip
    clip = np.zeros((1, pairs + 1, side, side, 3), np.uint8)
    return graph_cost(bundle.read_graph("detector"), {"clips": clip}).gflop / pairs


def _wanted(args, first, length, contenders):
    """Return what makes a row complete: who judged it, and of how many files every pair and anytime."""
    return [*sorted(contenders), *(min(max(n - first, 0), length) for n in (args.whole, args.anytime))]


if __name__ == "__main__":
    sys.exit(main())
