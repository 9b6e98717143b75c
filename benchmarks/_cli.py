"""`flowtell bench`: speed under one of four loads, its comparison with an earlier one, and pictures."""

import argparse
import json
import math
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import flowtell
from flowtell._cli_quiet import hush_tensorflow
from flowtell.benchmarks._arguments import new_file, positive, seed
from flowtell.benchmarks.percentiles import queries_needed
from flowtell.benchmarks.prices import cost_of_video
from flowtell.benchmarks.scenarios import SCENARIOS, Load, run_round
from flowtell.benchmarks.validity import PERCENTILES, RULES
from flowtell.training.run_folder import whole_file, write_json

__all__ = ["main"]

EXIT_DONE, EXIT_INVALID, EXIT_USAGE = 0, 1, 2

_OF_ONE_SCENARIO = {
    "streams": "multi_stream",
    "rate": "server",
    "latency_bound_ms": "server",
    # the others leave cores idle, or are as fast as they were told to be
    "price": "offline",
}
"""Options that say nothing of other scenarios."""

_STREAMS = 8
"""Clips a query of multi_stream where `--streams` is not given."""

_OFFLINE_SHARE = 0.6
"""Of what offline reaches, as the rate of server where none is given: busy, and still far from its limit."""

_SERVER_LATENCIES = 10
"""The latency bound of server where none is given, in latencies of a lone sample."""


def main(argv):
    """Run `flowtell bench ...`; 0: a valid run, 1: an invalid one or a regression, 2: usage."""
    hush_tensorflow()
    words = argv[1:]
    if words[:1] == ["compare"]:
        return _compare(words[1:])
    if words[:1] == ["report"]:
        return _report(words[1:])
    if words[:1] == ["contenders"]:
        from flowtell.benchmarks._cli_contenders import contenders_main

        return contenders_main(words[1:])
    if words[:1] in (["tune"], ["sweep"]):
        from flowtell.benchmarks._cli_tune import sweep_main, tune_main

        return (tune_main if words[0] == "tune" else sweep_main)(words[1:])
    return _bench(words)


def _bench(words):
    args = _parser().parse_args(words)
    for option, scenario in _OF_ONE_SCENARIO.items():
        if getattr(args, option) is not None and args.scenario != scenario:
            name = option.replace("_", "-")
            raise flowtell.InputError(f"--{name} says nothing of {args.scenario}: it is of {scenario}")
    detector = flowtell.Detector.open(
        args.bundle, provider=args.provider, precision=args.precision, threads=args.threads
    )
    if args.reference == "cpu" and (detector.provider, args.precision) == ("CPUExecutionProvider", "fp32"):
        raise flowtell.InputError(
            "the cpu provider in fp32 is not compared with itself: use --reference keras"
        )
    from flowtell.benchmarks.accuracy import compare_outputs
    from flowtell.benchmarks.detector_system import DetectorSystem, clip_outputs, sample_clips

    pairs = args.pairs or detector.bundle.manifest.pairs_per_clip
    videos = args.video or _samples()
    clips = sample_clips(detector, videos, args.clips, pairs)
    name, wanted = _reference(args, detector, clips)
    begun_s = time.perf_counter()
    got = [clip_outputs(detector, clip) for clip in clips]
    lone_s = (time.perf_counter() - begun_s) / len(clips)
    threshold = detector.bundle.manifest.thresholds[0].fake_probability
    accuracy = compare_outputs(wanted, got, detector.precision, threshold, name)
    print(_accuracy_line(accuracy))
    if not accuracy.passed:
        print("INVALID: wrong outputs, so nothing was timed")
        return EXIT_INVALID
    from flowtell.benchmarks.bench_run import report_of, time_rounds
    from flowtell.benchmarks.power import GPU_PROVIDERS, energy_of, watching_gpu
    from flowtell.benchmarks.stage_times import stage_times

    watch = watching_gpu() if detector.provider in GPU_PROVIDERS else nullcontext()
    with DetectorSystem(detector, clips) as system, watch as power:
        load, rounds = _load(args, system, len(clips), lone_s, detector.threads)
        timed = time_rounds(load, system, len(clips), rounds, progress=_show_progress)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    report = report_of(timed, accuracy, wanted, detector, clips, args.provider)
    report["stages_ms_per_pair"] = stage_times(detector, videos, args.clips)
    if power is not None:
        report["energy"] = energy_of(power, timed.rounds)
    if args.price is not None:
        report["cost"] = cost_of_video(args.price, report["pairs_per_s"])
    print("\n".join(summary(report)))
    if args.out:
        write_json(args.out, report)
    return EXIT_DONE if report["valid"] else EXIT_INVALID


def _load(args, system, sample_count, lone_s, threads):
    """Return the `Load` and the number of rounds, long enough for the percentile that it is judged by."""
    scenario = args.scenario
    # the queue of a server must not start empty again and again
    rounds = 1 if scenario == "server" else args.rounds
    needed = queries_needed(PERCENTILES[scenario]) if scenario in PERCENTILES else 1
    least = math.ceil(needed / rounds)
    if scenario == "offline":
        size = max(4 * threads, round(args.duration * threads / lone_s))
        return Load(scenario, samples_per_query=size, seed=args.seed), rounds
    if scenario == "multi_stream":
        return Load(scenario, args.duration, least, args.streams or _STREAMS, seed=args.seed), rounds
    if scenario == "single_stream":
        return Load(scenario, args.duration, least, seed=args.seed), rounds
    rate = args.rate
    if rate is None:
        trial = run_round(Load("offline", samples_per_query=8 * threads), system, sample_count)
        rate = _OFFLINE_SHARE * trial.samples_per_s
    bound_ms = args.latency_bound_ms or _SERVER_LATENCIES * 1e3 * lone_s
    print(f"server: {rate:.3g} queries a second, p99 to stay within {bound_ms:.0f} ms")
    return Load(scenario, args.duration * args.rounds, least, 1, rate, bound_ms, args.seed), rounds


def _reference(args, detector, clips):
    if args.reference == "keras":
        from flowtell.benchmarks.accuracy import reference_logits

        return reference_logits(detector.bundle.path, clips)
    from flowtell.benchmarks.detector_system import clip_outputs

    oracle = flowtell.Detector.open(detector.bundle, provider="cpu")
    return "the cpu provider, fp32", [clip_outputs(oracle, clip) for clip in clips]


def _samples():
    from flowtell import samples

    return [samples.natural_path(), samples.swapped_path()]


def _accuracy_line(accuracy):
    word = "alike" if accuracy.passed else "NOT alike"
    return (
        f"outputs {word}: largest difference {accuracy.largest_logit_difference:.1e} in a logit "
        f"(limit {accuracy.limit:g}), {accuracy.verdict_flips} verdict flips, {accuracy.samples} clips, "
        f"against {accuracy.reference}"
    )


def summary(report):
    """Return the lines that a person reads."""
    latency, load = report["latency_ms"], report["load"]
    tails = ", ".join(
        f"{name} at most {latency[key]:.0f}"
        for name, key in (("p90", "p90_bound"), ("p99", "p99_bound"))
        if latency[key] is not None
    )
    rounds = report["samples_per_s"]["rounds"]
    lines = [
        f"{load['scenario']} on {report['provider']}, {report['precision']}, {report['threads']} threads, "
        f"{report['samples']['pairs']} pairs a clip",
        f"  {report['samples_per_s']['median']:.3g} clips/s ({min(rounds):.3g} to {max(rounds):.3g} over "
        f"{len(rounds)} rounds{_set_aside(report)}), {report['pairs_per_s']:.3g} pairs/s",
        f"  {report['share_of_gemm_ceiling']:.0%} of this machine's best float32 matrix product, "
        f"{report['ceilings']['gemm_gflops']:g} GFLOP/s",
    ]
    if load["scenario"] != "offline":
        median = f"  latency in ms: p50 {latency['p50']:.0f}"
        lines.append(f"{median}{', ' if tails else ''}{tails} ({latency['queries']} queries)")
    cold = report["cold_start"]
    lines.append(
        f"  a fresh process: {cold['import_ms']:.0f} ms to import, {cold['open_ms']:.0f} to open, "
        f"{cold['first_clip_ms']:.0f} for the first clip, {cold['peak_memory_mb']:.0f} MB at most"
    )
    if stages := report.get("stages_ms_per_pair"):
        words = ", ".join(f"{ms:.3g} {name}" for name, ms in stages.items())
        lines.append(f"  ms of work for a frame pair of the videos: {words}")
    if energy := report.get("energy"):
        lines.append(f"  {_energy_line(energy)}")
    if cost := report.get("cost"):
        lines.append(
            f"  an hour of video with one face at {cost['frames_per_s']} frames a second costs "
            f"{cost['hour_of_video']:.3g}, every pair judged, at {cost['machine_hour']:g} an hour"
        )
    return [*lines, "VALID" if report["valid"] else f"INVALID: {'; '.join(report['reasons'])}"]


def _set_aside(report):
    count = report.get("rounds_set_aside")
    return f"; {count} set aside, the machine was slow beside them" if count else ""


def _energy_line(energy):
    if "missing" in energy:
        return f"power of the GPU not measured: {energy['missing']}"
    return f"the GPU drew {energy['mean_power_w']:.0f} W: {energy['verdict_j']:.3g} J a verdict"


def _show_progress(count, rounds, left_s):
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[2K{count} of {rounds} rounds count, about {left_s:.0f} s left")
        sys.stderr.flush()


def _compare(words):
    parser = argparse.ArgumentParser(
        prog="flowtell bench compare",
        description="Compare two results of 'flowtell bench' that were run on equal terms.",
        epilog="Exit code: 0 no regression, 1 the second is slower beyond noise, 2 they cannot be compared.",
    )
    parser.add_argument("before", type=Path, help="result of the earlier run")
    parser.add_argument("after", type=Path, help="result of the later run")
    args = parser.parse_args(words)
    from flowtell.benchmarks.comparison import IncomparableError, compare_reports

    try:
        found = compare_reports(_read_report(args.before), _read_report(args.after))
    except IncomparableError as error:
        raise flowtell.InputError(str(error)) from error
    faster = "faster" if found.change < 0 else "slower"
    word = "REGRESSION" if found.is_regression else "no regression"
    print(f"{word}: {found.figure} is {abs(found.change):.1%} {faster} (noise explains {found.limit:.1%})")
    return EXIT_INVALID if found.is_regression else EXIT_DONE


def _report(words):
    parser = argparse.ArgumentParser(
        prog="flowtell bench report",
        description="Draw results of 'flowtell bench' as one self-contained page.",
    )
    parser.add_argument("results", nargs="+", type=Path, help="results, in the order in which to show them")
    parser.add_argument(
        "--out", type=new_file, required=True, help="the page: a file that ends in .html or .png"
    )
    args = parser.parse_args(words)
    if args.out.suffix not in (".html", ".png"):
        parser.error(f"--out must end in .html or .png, and {args.out} does not")
    from flowtell.benchmarks.pages import html_page, picture

    named = zip(_names(args.results), args.results, strict=True)
    reports = {name: _read_report(path) for name, path in named}
    png = picture(reports)
    with whole_file(args.out) as scratch:
        scratch.write_bytes(png if args.out.suffix == ".png" else html_page(reports, png).encode("utf-8"))
    print(f"wrote {args.out}")
    return EXIT_DONE


def _names(paths):
    """Return what to call each result: by its file, and by its folder, too, where two files are alike."""
    stems = [path.stem for path in paths]
    names = [
        stem if stems.count(stem) == 1 else path.with_suffix("").as_posix()
        for stem, path in zip(stems, paths, strict=True)
    ]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise flowtell.InputError(f"{twice} was named twice: name each result once")
    return names


def _read_report(path):
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise flowtell.InputError(
            f"{path} cannot be read as a result of 'flowtell bench': {error}"
        ) from error
    if not isinstance(report, dict) or report.get("kind") != "flowtell bench" or report.get("schema") != 1:
        raise flowtell.InputError(f"{path} is no result of this version's 'flowtell bench'")
    return report


def _parser():
    parser = argparse.ArgumentParser(
        prog="flowtell bench",
        description="Measure the speed of a bundle's detector under a load; outputs are compared with the "
        "reference before anything is timed, and again while it is.",
        epilog=f"Exit code: 0 the run is VALID, 1 it is not, 2 wrong usage. A run is valid where its outputs "
        f"are right, rounds lie within {RULES.steady:.0%} of their median, the machine itself within "
        f"{RULES.machine:.0%}, and there are queries enough for the percentile. Rounds beside which the "
        "machine was slower than that are set aside and run again, up to twice as many. "
        "'flowtell bench compare A B' compares two results, 'flowtell bench report' draws them, "
        "'flowtell bench contenders' runs the engine beside what one would use instead, "
        "'flowtell bench tune' finds the fastest settings and 'flowtell bench sweep' tries all of them.",
    )
    add = parser.add_argument
    add("bundle", nargs="?", metavar="BUNDLE", help="folder of a bundle (default: the packaged one)")
    add(
        "--scenario", choices=SCENARIOS, required=True, help="as MLPerf defines them; a sample is a face clip"
    )
    add("--out", type=new_file, metavar="FILE", help="write the whole result there, as JSON")
    add(
        "--video",
        action="append",
        metavar="FILE",
        help="take face clips of this video (default: both samples)",
    )
    add("--clips", type=positive(int), default=4, metavar="N", help="face clips of each video (default: 4)")
    add("--pairs", type=positive(int), metavar="T", help="frame pairs of a face clip (default: the bundle's)")
    add("--provider", default="auto", metavar="P", help="what to run on (default: auto)")
    add("--precision", default="fp32", metavar="Q", help="what the detector computes in (default: fp32)")
    add("--threads", type=positive(int), metavar="N", help="clips judged at a time (default: all cores)")
    add("--rounds", type=positive(int), default=5, metavar="N", help="rounds; server has one (default: 5)")
    add("--duration", type=positive(float), default=10.0, metavar="S", help="seconds a round (default: 10)")
    add(
        "--streams",
        type=positive(int),
        metavar="N",
        help=f"clips a query of multi_stream (default: {_STREAMS})",
    )
    add(
        "--rate",
        type=positive(float),
        metavar="R",
        help="queries a second of server (default: 60 %% of offline)",
    )
    add(
        "--latency-bound-ms",
        type=positive(float),
        metavar="MS",
        help="of server (default: 10 lone latencies)",
    )
    add(
        "--reference",
        choices=("keras", "cpu"),
        default="keras",
        help="what outputs must be like (default: keras)",
    )
    add(
        "--price",
        type=positive(float),
        metavar="P",
        help="of an hour of this machine, in any currency: offline says what judging an hour of video costs",
    )
    add("--seed", type=seed, default=0, help="of the choice of clips and of the arrivals (default: 0)")
    return parser
