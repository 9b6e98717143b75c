"""What the engine keeps to under load: memory that stays flat, scores that never change, faces kept apart.

    python -m flowtell.benchmarks.endurance CHECK... --out result.json [--bundle DIR] [--videos DIR]

Checks: `soak` (300 files: memory at rest after the first 20 and five times more), `crowd` (memory with 8
faces in 3840x2160), `threads` (16 threads on one detector), `batch` (a file alone, twice, and among others),
`streams` (frames pushed one at a time against the file), `faces` (two faces that cross; real videos cut
together). The heap is set as that of `flowtell detect` is. Each adds its figures to the result, and says
whether it holds.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

import flowtell
from flowtell import samples
from flowtell._frames import open_frames
from flowtell._heap import keep_little_free
from flowtell.benchmarks._arguments import new_file
from flowtell.benchmarks.machine import machine_context
from flowtell.benchmarks.rendered import FRAMES_PER_S, cross, crowd, cut_together, write_scene
from flowtell.training.run_folder import write_json

__all__ = ["CHECKS", "crossing_figures", "is_flat", "main"]

SETTLED_FILES, SOAK_PARTS = 20, 5
FLAT_SHARE = 0.05
"""After the first files memory at rest may still rise by so much: some 30 KB a file over 280 files."""

CALLERS = 16
WARM_UP_FRAMES = 6
RING_FRAMES = 8
"""Slots of the memory that the decoder shares with its caller; those that a frame touched count for both."""


def soak(detector, videos, args):
    """Judge `args.files` files in a row and watch the memory of the process."""
    # small and large videos lie in folders of their own: steps of the golden ratio mix them from the first on
    count = len(videos)
    step = next(n for n in itertools.count(round(0.618 * count)) if math.gcd(n, count) == 1)
    files = [videos[index * step % count] for index in range(args.files)]
    rest = args.files - SETTLED_FILES
    ends = [SETTLED_FILES + rest * part // SOAK_PARTS for part in range(SOAK_PARTS + 1)]
    held_mb, resting_mb, states = [], [], {}
    for start, end in itertools.pairwise([0, *ends]):
        for result in detector.detect_many(files[start:end], effort=flowtell.Effort(max_clips=4)):
            held_mb.append(_resident_mb())
            states[result.state] = states.get(result.state, 0) + 1
            print(f"\r{len(held_mb)}/{len(files)}  {held_mb[-1]:.0f} MB", end="", file=sys.stderr)
        # between two results frames of a third file wait: only at rest do numbers compare
        resting_mb.append(_resident_mb())
    return {
        "files": len(files),
        "states": states,
        "after_files": ends,
        "at_rest_mb": resting_mb,
        "most_mb": max(held_mb),
        "holds": is_flat(resting_mb),
    }


def is_flat(resting_mb):
    """Tell whether what is held later is at no time more than what is held first, but for FLAT_SHARE."""
    return max(resting_mb[1:]) <= resting_mb[0] * (1 + FLAT_SHARE)


def crowd_memory(detector, videos, args):
    """Judge eight faces in frames of 3840x2160."""
    with tempfile.TemporaryDirectory() as folder:
        scene = crowd(args.frames)
        path = write_scene(Path(folder) / "crowd.mp4", scene.frames)
        # what one call of each graph needs for such a frame is there from now on
        detector.detect(write_scene(Path(folder) / "short.mp4", crowd(WARM_UP_FRAMES).frames))
        before = _resident_mb()
        seen_mb = []
        result = detector.detect(path, progress=lambda _: seen_mb.append(_resident_mb()))
    clip_mb = 17 * detector.bundle.manifest.crop_size**2 * 3 / 1e6
    frame_mb = 3840 * 2160 * 3 / 1e6
    peak = max(seen_mb)
    # growing clips of 8 faces, clips that wait, frames that wait and are in hand, and the decoder's ring
    bound = before + (8 + 2 * detector.threads + 2) * clip_mb + 17 + 4 * frame_mb + RING_FRAMES * frame_mb
    return {
        "faces": len(result.faces),
        "pairs": result.pairs_judged,
        "before_mb": before,
        "peak_mb": peak,
        "bound_mb": bound,
        "holds": len(result.faces) == scene.faces and peak <= bound,
    }


def threads(detector, videos, args):
    """Score clips from 16 threads at once and compare each with what one thread said."""
    clips = [c.frames for v in videos[:4] for c in flowtell.iter_face_clips(v, detector.bundle, max_clips=2)]
    short = [clip[None, : args.pairs + 1] for clip in clips]
    wanted = [detector.score_clips(clip).pair_logits for clip in short]

    def same(number):
        got = detector.score_clips(short[number % len(short)]).pair_logits
        return np.array_equal(got, wanted[number % len(short)])

    with ThreadPoolExecutor(CALLERS) as callers:
        alike = sum(callers.map(same, range(args.calls)))
    return {"threads": CALLERS, "calls": args.calls, "identical": alike, "holds": alike == args.calls}


def batch(detector, videos, args):
    """Judge files alone, again, and all in a row."""
    chosen = videos[: args.streams]
    alone = [_without_times(detector.detect(video)) for video in chosen]
    again = [_without_times(detector.detect(video)) for video in chosen]
    row = [_without_times(result) for result in detector.detect_many([*chosen, *reversed(chosen)])]
    same = alone == again and row == [*alone, *reversed(alone)]
    return {"files": len(chosen), "holds": same}


def streams(detector, videos, args):
    """Push the frames of files one at a time and compare the scores with the file's."""
    differing = []
    clips = 0
    for video in videos[: args.streams]:
        scores = []
        with detector.stream() as stream, open_frames(video) as frames:
            for frame in frames:
                scores += stream.push(frame.image, timestamp_s=frame.time_s)
            scores += stream.finish()
        found = detector.detect(video).faces
        wanted = sorted((f.track, c.start_s, c.box, c.logit, c.pair_logits) for f in found for c in f.clips)
        clips += len(wanted)
        if sorted((s.track, s.start_s, s.box, s.logit, s.pair_logits) for s in scores) != wanted:
            differing.append(video.name)
    return {
        "files": len(videos[: args.streams]),
        "clips": clips,
        "differing": differing,
        "holds": not differing and clips > 0,
    }


def faces(detector, videos, args):
    """Count tracks and changes of identity where faces cross and where shots are cut together."""
    with tempfile.TemporaryDirectory() as folder:
        scene = cross()
        result = detector.detect(write_scene(Path(folder) / "cross.mp4", scene.frames))
        crossing = crossing_figures(result, scene)
        cuts = []
        for number in range(3):
            shots = [videos[(number + len(videos) // 3 * shot) % len(videos)] for shot in range(3)]
            frames, starts = cut_together(shots)
            result = detector.detect(write_scene(Path(folder) / f"cut{number}.mp4", frames))
            cuts.append(_cuts(result, starts))
    switches = crossing["switches"] + sum(cut["tracks_over_a_cut"] for cut in cuts)
    return {"crossing": crossing, "cuts": cuts, "switches": switches, "holds": switches == 0}


def crossing_figures(result, scene):
    """Return how many tracks the faces of a scene became, and how often one track showed another face."""
    switches = 0
    for face in result.faces:
        who = set()
        for clip in face.clips:
            x, y, w, h = clip.box
            number = round(clip.start_s * FRAMES_PER_S)
            centres = [scene.centres(number, one) for one in range(scene.faces)]
            distances = [np.hypot(x + w / 2 - cx, y + h / 2 - cy) for cx, cy in centres]
            who.add(int(np.argmin(distances)))
        switches += len(who) - 1
    return {
        "faces": scene.faces,
        "tracks": len(result.faces),
        "switches": switches,
        "verdicts": _verdicts(result),
    }


def _cuts(result, starts):
    cuts_s = [start / FRAMES_PER_S for start in starts]
    over = 0
    for face in result.faces:
        shots = {sum(clip.start_s >= cut - 1e-6 for cut in cuts_s) for clip in face.clips}
        inside = any(clip.start_s < cut - 1e-6 < clip.end_s for clip in face.clips for cut in cuts_s)
        over += len(shots) > 1 or inside
    return {
        "shots": len(starts) + 1,
        "tracks": len(result.faces),
        "tracks_over_a_cut": over,
        "verdicts": _verdicts(result),
    }


def _verdicts(result):
    return {str(face.track): round(face.fake_probability, 3) for face in result.faces}


CHECKS = {
    "soak": soak,
    "crowd": crowd_memory,
    "threads": threads,
    "batch": batch,
    "streams": streams,
    "faces": faces,
}


def main(argv=None):
    """Run the checks that are named; return 0 if all hold, else 1."""
    parser = argparse.ArgumentParser(
        prog="python -m flowtell.benchmarks.endurance",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("check", nargs="+", choices=CHECKS)
    parser.add_argument("--out", type=new_file, required=True)
    parser.add_argument("--bundle", type=Path, default=flowtell.default_bundle_path(), metavar="DIR")
    parser.add_argument("--videos", type=Path, metavar="DIR", help="folder of videos (default: the samples)")
    parser.add_argument("--files", type=int, default=300, help="files of the soak (default: 300)")
    parser.add_argument("--frames", type=int, default=100, help="frames of the crowd (default: 100)")
    parser.add_argument("--calls", type=int, default=10_000, help="calls of the threads (default: 10,000)")
    parser.add_argument("--pairs", type=int, default=4, help="pairs of a call of the threads (default: 4)")
    parser.add_argument("--streams", type=int, default=10, help="files of streams and batch (default: 10)")
    args = parser.parse_args(argv)
    if args.files < SETTLED_FILES + SOAK_PARTS:
        parser.error(f"--files must be at least {SETTLED_FILES + SOAK_PARTS}")
    videos = [samples.natural_path(), samples.swapped_path()]
    if args.videos:
        videos = sorted(args.videos.rglob("*.mp4"))
    # as `flowtell detect` has it
    keep_little_free()
    kept = json.loads(args.out.read_text(encoding="utf-8")) if args.out.is_file() else {}
    with flowtell.Detector.open(args.bundle, provider="cpu") as detector:
        for name in args.check:
            figures = CHECKS[name](detector, videos, args)
            figures["bundle"] = detector.bundle.manifest.name
            kept[f"{name}, {figures['bundle']}"] = figures
            print(f"\n{name}: {json.dumps(figures)}")
            kept["machine"] = machine_context()
            write_json(args.out, kept)
    return 0 if all(kept[f"{name}, {figures['bundle']}"]["holds"] for name in args.check) else 1


def _resident_mb():
    with Path("/proc/self/statm").open(encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _without_times(result):
    document = result.to_dict()
    del document["timing_ms"]
    return document


if __name__ == "__main__":
    sys.exit(main())
