"""`flowtell bench contenders`: the engine and what a user would run instead, in one run."""

import argparse
import math
import sys
from dataclasses import asdict
from pathlib import Path

import flowtell
from flowtell.benchmarks._arguments import new_file, positive
from flowtell.benchmarks.contenders import CONTENDERS, WITHOUT_KERAS, Arena
from flowtell.benchmarks.machine import machine_context
from flowtell.benchmarks.runtimes import limit_keras
from flowtell.training.run_folder import whole_file, write_json

__all__ = ["contenders_main", "contest_table", "idle_threads"]

EXIT_DONE, EXIT_WRONG = 0, 1


def contenders_main(words):
    """Run the contest; return 0 where all outputs that must be alike are, else 1."""
    args = _parser().parse_args(words)
    if args.mesonet and not args.mesonet.is_file():
        raise flowtell.InputError(f"there is no file {args.mesonet}")
    from flowtell import samples
    from flowtell.benchmarks.contest import contest
    from flowtell.benchmarks.detector_system import sample_clips

    detector = flowtell.Detector.open(args.bundle, provider="cpu", threads=args.threads)
    pairs = args.pairs or detector.bundle.manifest.pairs_per_clip
    videos = args.video or [samples.natural_path(), samples.swapped_path()]
    names = (CONTENDERS[0], *(name for name in args.only or CONTENDERS if name != CONTENDERS[0]))
    if args.threads and not set(names) <= set(WITHOUT_KERAS):
        limit_keras(args.threads)
    clips_of_each = args.clips or math.ceil(detector.threads / len(videos))
    clips = sample_clips(detector, videos, clips_of_each, pairs)
    arena = Arena(Path(detector.bundle.path), detector.threads, args.mesonet)
    entries, best_gemm = contest(arena, clips, args.runs, names, _progress)
    lines = contest_table(entries, best_gemm, detector.threads)
    lines += idle_threads(detector.threads, len(clips), len(videos), clips_of_each)
    print("\n".join(lines))
    if args.out:
        result = {
            "schema": 1,
            "kind": "flowtell bench contenders",
            "machine": machine_context(),
            "bundle": {
                "name": detector.bundle.manifest.name,
                "sha256": detector.bundle.sha256,
                "detector_sha256": detector.bundle.manifest.graphs["detector"]["fp32"].sha256,
            },
            "threads": detector.threads,
            "clips": len(clips),
            "pairs_per_clip": pairs,
            "runs": args.runs,
            "best_gemm_gflops": best_gemm,
            "contenders": [asdict(entry) for entry in entries],
        }
        write_json(args.out, result)
    if args.picture:
        from flowtell.benchmarks.pages import contest_picture

        with whole_file(args.picture) as scratch:
            scratch.write_bytes(contest_picture(entries))
    return EXIT_WRONG if any(entry.is_wrong for entry in entries) else EXIT_DONE


def contest_table(entries, best_gemm_gflops, threads):
    """Return the lines that a person reads, the fastest first."""
    lines = [f"{'':28}{'pairs/s':>8}  {'quartiles':>14}  {'times ours':>10}  largest difference of a logit"]
    ours = entries[0].pairs_per_s
    for entry in sorted(entries, key=lambda e: -(e.pairs_per_s or 0)):
        if entry.missing:
            lines.append(f"{entry.name:28}{'-':>8}  {entry.missing}")
            continue
        note = f"{entry.largest_difference:.1e}"
        if entry.is_wrong:
            lines.append(f"{entry.name:28}{'-':>8}  WRONG OUTPUT, not timed: {note}")
            continue
        low, high = entry.pairs_per_s_quartiles
        note = note if entry.same_output else "another method"
        spread = f"{low:.1f} to {high:.1f}"
        times = f"{entry.pairs_per_s / ours:.2f}"
        lines.append(f"{entry.name:28}{entry.pairs_per_s:8.1f}  {spread:>14}  {times:>10}  {note}")
    where = machine_context()
    lines.append(
        f"{threads} threads of {where['cpu']} ({', '.join(where['cpu_features'])}); best float32 matrix "
        f"product of the same run: {best_gemm_gflops:.0f} GFLOP/s"
    )
    return lines


def idle_threads(threads, clips, videos, clips_of_each):
    """Return the line that says that the engine left cores idle, in a list; an empty one where it did not.

    Args:
        threads: of the engine, each of which judges one clip at a time.
        clips: how many there were.
        videos: how many they are of.
        clips_of_each: how many were asked for of each.
    """
    if clips >= threads:
        return []
    needed = math.ceil(threads / videos)
    remedy = f"--clips {needed} keeps all of them busy"
    if clips_of_each >= needed:
        remedy = "the videos have no more clips of that length, so name more of them with --video"
    return [f"the engine used {clips} of its {threads} threads, one a clip: {remedy}"]


def _progress(words):
    if sys.stderr.isatty():
        print(words, file=sys.stderr)


def _parser():
    parser = argparse.ArgumentParser(
        prog="flowtell bench contenders",
        description="Run the engine and what one would use instead on the same face clips, in turn. "
        "Outputs are compared before anything is timed.",
        epilog="Exit code: 0 done, 1 a contender's outputs are not those they must be, 2 wrong usage.",
    )
    add = parser.add_argument
    add("bundle", nargs="?", metavar="BUNDLE", help="folder of a bundle (default: the packaged one)")
    add("--only", nargs="+", choices=CONTENDERS, metavar="NAME", help=f"some of: {', '.join(CONTENDERS)}")
    add(
        "--video",
        action="append",
        metavar="FILE",
        help="take face clips of this video (default: the samples)",
    )
    add(
        "--clips",
        type=positive(int),
        metavar="N",
        help="face clips of each video (default: as few as keep every thread of the engine busy)",
    )
    add("--pairs", type=positive(int), metavar="T", help="frame pairs of a face clip (default: the bundle's)")
    add("--threads", type=positive(int), metavar="N", help="cores that each may use (default: all)")
    add("--runs", type=positive(int), default=7, metavar="N", help="timed turns of each (default: 7)")
    add("--mesonet", type=Path, metavar="FILE", help="MesoNet's published weights, such as Meso4_DF.h5")
    add("--out", type=new_file, metavar="FILE", help="write the result there, as JSON")
    add("--picture", type=new_file, metavar="FILE", help="draw the result there, as PNG")
    return parser
