"""`flowtell bench sweep` and `flowtell bench tune`: every way to run a bundle, and the best of them."""

import argparse
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

import flowtell
from flowtell._manifest import PRECISIONS
from flowtell._providers import PROVIDER_NAMES
from flowtell.benchmarks._arguments import new_file, positive
from flowtell.benchmarks.machine import machine_context
from flowtell.benchmarks.probe import Probes
from flowtell.benchmarks.settings_grid import CLIPS_PER_CALL, Point, grid_of
from flowtell.benchmarks.statistics import quantile
from flowtell.benchmarks.tuner import Limits, race, tune
from flowtell.training.run_folder import whole_file, write_json
from flowtell.training.video import readable_video_sha256

__all__ = ["sweep_main", "tune_main"]

EXIT_DONE, EXIT_NONE = 0, 1

_TRIAL_S = 2.0
"""Of each trial of the tuner: long beside opening a detector, and those near the best are tried twice."""

_SWEEP_S = 10.0
"""Of each setting of a sweep, as long as a round of `flowtell bench`."""

_RACE_TURNS = 5
"""Of the profile and the fastest of a sweep: as many as rounds of `flowtell bench`."""


def tune_main(words):
    """Find the fastest way to run a bundle within limits, write it as a profile; 0, or 1: there is none."""
    parser = _parser("tune", "Find the fastest way to run a bundle on this machine, within limits.", _TRIAL_S)
    add = parser.add_argument
    add("--max-latency-ms", type=positive(float), metavar="MS", help="of a call while all threads are busy")
    add("--max-memory-mb", type=positive(float), metavar="MB", help="of the process, everything included")
    add(
        "--max-drift",
        type=positive(float),
        default=0.25,
        metavar="D",
        help="largest difference of a logit from the cpu provider's in fp32 (default: 0.25); a verdict never "
        "flips",
    )
    add("--out", type=new_file, metavar="FILE", help="write the profile there, for flowtell detect --profile")
    args = parser.parse_args(words)
    limits = Limits(args.max_drift, args.max_latency_ms, args.max_memory_mb)
    if args.pairs and len(args.pairs) > 1:
        raise flowtell.InputError("a profile is for clips of one length: give --pairs one number")
    bundle = _bundle(args.bundle)
    with tempfile.TemporaryDirectory() as folder:
        grid, samples = _prepared(args, bundle, Path(folder))
        grid = replace(grid, pairs=grid.pairs[:1])

        with Probes(bundle.path, samples, args.duration) as probes:

            def measure(point):
                _tell(f"trying {point}")
                return probes(point)

            choice = tune(grid, measure, limits)
    for point, measured in choice.trials:
        print(_line(point, measured, limits.broken_by(measured)))
    if choice.point is None:
        print("nothing keeps to these limits: allow more, or take a bundle with more precisions")
        return EXIT_NONE
    print(f"best: {choice.point}, of {len(grid.points())} in {len(choice.trials)} trials")
    if args.out:
        write_json(args.out, _profile(bundle, choice, limits))
        print(f"wrote {args.out}: flowtell detect VIDEO --profile {args.out}")
    return EXIT_DONE


def sweep_main(words):
    """Measure every way to run a bundle into a store; 0."""
    parser = _parser(
        "sweep", "Measure every way to run a bundle on this machine. Interrupted, it goes on.", _SWEEP_S
    )
    add = parser.add_argument
    add("--store", type=Path, required=True, metavar="FILE", help="JSON lines, one a setting; is added to")
    add("--picture", type=new_file, metavar="FILE", help="draw rate against latency there, as PNG")
    add(
        "--profile",
        type=Path,
        metavar="FILE",
        help="of flowtell bench tune: measure it and the fastest three once more, in turn",
    )
    args = parser.parse_args(words)
    from flowtell.benchmarks.sweep import Store, sweep

    bundle = _bundle(args.bundle)
    profile = args.profile and flowtell.Profile.read(args.profile)
    if profile:
        profile.require_for(bundle.sha256)
    shown = [readable_video_sha256(video) for video in _videos(args)]
    by = {"videos_sha256": shown, "clips": args.clips, "duration_s": args.duration}
    store = Store(args.store, bundle.sha256, by)
    with tempfile.TemporaryDirectory() as folder:
        grid, samples = _prepared(args, bundle, Path(folder))

        def progress(point, done, count):
            _tell(f"{done + 1} of {count}: {point}")

        found = sweep(bundle.path, grid.points(), samples, store, args.duration, progress)
        limits = Limits()
        ranked = sorted(found.items(), key=lambda entry: -(entry[1].pairs_per_s or 0))
        print("\n".join(_line(point, measured, limits.broken_by(measured)) for point, measured in ranked))
        if profile:
            fastest = [point for point, measured in ranked if not limits.broken_by(measured)][:3]
            chosen = Point(
                *(profile.provider, profile.precision, profile.threads, profile.clips_per_call),
                pairs=grid.pairs[0],
            )
            with Probes(bundle.path, samples, args.duration) as probes:
                raced = race(dict.fromkeys([chosen, *fastest]), probes, _RACE_TURNS)
            print("\n".join(_race_lines(chosen, raced)))
    if args.picture:
        from flowtell.benchmarks.sweep_picture import sweep_picture

        with whole_file(args.picture) as scratch:
            scratch.write_bytes(sweep_picture(found, limits))
    return EXIT_DONE


def _parser(name, description, duration_s):
    parser = argparse.ArgumentParser(
        prog=f"flowtell bench {name}",
        description=f"{description} Each setting runs in a process of its own; outputs are compared first.",
        epilog="Exit code: 0 done, 1 (tune) nothing keeps to the limits, 2 wrong usage.",
    )
    add = parser.add_argument
    add("bundle", nargs="?", metavar="BUNDLE", help="folder of a bundle (default: the packaged one)")
    providers = PROVIDER_NAMES[1:]
    add(
        "--providers",
        nargs="+",
        choices=providers,
        metavar="P",
        help=f"of {', '.join(providers)} (default: all that can be used here)",
    )
    add(
        "--precisions",
        nargs="+",
        choices=PRECISIONS,
        metavar="Q",
        help=f"of {', '.join(PRECISIONS)} (default: all that the bundle has)",
    )
    add("--threads", nargs="+", type=positive(int), metavar="N", help="default: 1, half the cores, all")
    add(
        "--clips-per-call",
        nargs="+",
        type=positive(int),
        metavar="N",
        help=f"default: {' '.join(map(str, CLIPS_PER_CALL))}",
    )
    add("--pairs", nargs="+", type=positive(int), metavar="T", help="pairs of a clip (default: the bundle's)")
    add("--video", action="append", metavar="FILE", help="take face clips of it (default: the samples)")
    add("--clips", type=positive(int), default=2, metavar="N", help="face clips of each video (default: 2)")
    add(
        "--duration",
        type=positive(float),
        default=duration_s,
        metavar="S",
        help=f"how long each is timed, at least (default: {duration_s:g})",
    )
    return parser


def _bundle(folder):
    return flowtell.Bundle.open(folder or flowtell.default_bundle_path())


def _videos(args):
    from flowtell import samples as packaged

    return args.video or [packaged.natural_path(), packaged.swapped_path()]


def _prepared(args, bundle, folder):
    """Return the grid that was asked for, and the samples of each T in it."""
    from flowtell.benchmarks.detector_system import sample_clips
    from flowtell.benchmarks.sweep import write_samples

    whole = grid_of(bundle)
    grid = replace(
        whole,
        **{
            name: tuple(values)
            for name in ("providers", "precisions", "threads", "clips_per_call", "pairs")
            if (values := getattr(args, name))
        },
    )
    if not grid.ways():
        ways = f"{' or '.join(grid.providers)} computes in {' or '.join(grid.precisions)}"
        raise flowtell.InputError(f"nothing of {ways}: name others with --providers and --precisions")
    oracle = flowtell.Detector.open(bundle, provider="cpu")
    samples = {}
    for pairs in grid.pairs:
        clips = sample_clips(oracle, _videos(args), args.clips, pairs)
        samples[pairs] = folder / f"{pairs}.npz"
        write_samples(oracle, clips, samples[pairs])
    oracle.close()
    return grid, samples


def _profile(bundle, choice, limits):
    point = asdict(choice.point)
    return {
        "schema": 1,
        "kind": "flowtell profile",
        "settings": {
            "bundle_sha256": bundle.sha256,
            **{name: point[name] for name in ("provider", "precision", "threads", "clips_per_call")},
        },
        "limits": asdict(limits),
        "measured": asdict(choice.measured),
        "probes": [asdict(point) | asdict(measured) for point, measured in choice.trials],
        "machine": machine_context(),
    }


def _line(point, measured, broken):
    if measured.pairs_per_s is None:
        return f"{point}: {measured.failed}"
    words = (
        f"{point}: {measured.pairs_per_s:.1f} pairs/s, {measured.latency_ms:.0f} ms a call, "
        f"{measured.peak_memory_mb:.0f} MB, drift {measured.logit_drift:.1e}"
    )
    return f"{words} (out: {'; '.join(broken)})" if broken else words


def _race_lines(chosen, raced):
    """Return what a race of the profile's point and others came to."""
    failed = {point: why for point, measured in raced.items() if (why := _failure_of(measured))}
    if chosen in failed:
        return [f"the profile's {chosen} does not run here: {failed[chosen]}"]
    rates = {
        point: [each.pairs_per_s for each in measured]
        for point, measured in raced.items()
        if point not in failed
    }
    medians = {point: quantile(values, 0.5) for point, values in rates.items()}
    best = max(medians, key=medians.get)
    lines = [
        f"in turn, {len(rates[point])} times: {point}: {medians[point]:.1f} pairs/s, "
        f"{min(rates[point]):.1f} to {max(rates[point]):.1f}"
        for point in sorted(medians, key=medians.get, reverse=True)
    ]
    noise = max(abs(value / medians[best] - 1) for value in rates[best])
    share = medians[chosen] / medians[best]
    return [
        *lines,
        f"the profile's {chosen} reaches {share:.0%} of the best, which itself varied by {noise:.0%}",
    ]


def _failure_of(measured):
    return next((each.failed for each in measured if each.pairs_per_s is None), None)


def _tell(words):
    if sys.stderr.isatty():
        print(words, file=sys.stderr)
