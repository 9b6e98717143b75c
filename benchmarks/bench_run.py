"""One benchmark from end to end: outputs compared, then rounds timed between calibrations, then a report."""

import hashlib
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from flowtell.benchmarks.accuracy import count_wrong
from flowtell.benchmarks.calibration import calibrate, measure_ceilings
from flowtell.benchmarks.cold_start import cold_start
from flowtell.benchmarks.graph_cost import graph_cost
from flowtell.benchmarks.machine import machine_context
from flowtell.benchmarks.percentiles import percentile_bound
from flowtell.benchmarks.scenarios import run_round
from flowtell.benchmarks.statistics import quantile
from flowtell.benchmarks.validity import PERCENTILES, reasons_against

__all__ = ["REPORT_SCHEMA", "Timed", "report_of", "time_rounds"]

REPORT_SCHEMA = 1


@dataclass(frozen=True)
class Timed:
    """Rounds of one load, and the calibration kernel's times (ms) before, between and after them."""

    load: object
    rounds: tuple
    calibrations_ms: tuple


def time_rounds(load, system, sample_count, rounds, calibrate=calibrate, progress=None):
    """Warm the system up with one query's worth of work, then run `rounds` rounds; return a `Timed`.

    Args:
        load: a `Load`.
        system: see `scenarios`.
        sample_count: how many samples there are.
        rounds: how many; server, whose queue must not start empty again and again, should have one.
        calibrate: function that times the fixed kernel, in ms.
        progress: called with (rounds done, rounds in all, seconds left) before each round.
    """
    system.issue(-1, (0,))
    while not system.collect(None):
        pass
    made, calibrations = [], [calibrate()]
    begun_s = time.monotonic()
    for index in range(rounds):
        if progress is not None:
            spent_s = time.monotonic() - begun_s
            progress(index, rounds, spent_s / index * (rounds - index) if index else load.duration_s * rounds)
        made.append(run_round(load, system, sample_count, index))
        calibrations.append(calibrate())
    return Timed(load, tuple(made), tuple(calibrations))


def report_of(timed, accuracy, wanted, detector, clips, provider):
    """Return the report, a dict of plain values that JSON takes.

    Args:
        timed: a `Timed`.
        accuracy: the `Accuracy` found before.
        wanted: reference outputs of each sample.
        detector: the `flowtell.Detector` that was timed.
        clips: its samples, uint8 `[T+1, S, S, 3]` each.
        provider: as the user named it.
    """
    load, rounds = timed.load, timed.rounds
    manifest = detector.bundle.manifest
    pairs = len(clips[0]) - 1
    wrong = count_wrong(rounds, wanted, detector.precision)
    reasons = reasons_against(load, rounds, timed.calibrations_ms, wrong)
    rates = [r.samples_per_s for r in rounds]
    ceilings = measure_ceilings()
    graph = detector.bundle.read_graph("detector", detector.precision)
    cost = graph_cost(graph, {"clips": clips[0][None]})
    rate = quantile(rates, 0.5)
    with tempfile.TemporaryDirectory() as folder:
        cold = cold_start(detector.bundle.path, provider, detector.precision, clips[0], Path(folder))
    return {
        "schema": REPORT_SCHEMA,
        "kind": "flowtell bench",
        "valid": not reasons,
        "reasons": reasons,
        "load": asdict(load),
        "samples": {"count": len(clips), "pairs": pairs, "sha256": _digest(clips)},
        "samples_per_s": {"median": rate, "rounds": rates},
        "pairs_per_s": pairs * rate,
        "latency_ms": _latencies(load, rounds),
        "accuracy": asdict(accuracy) | {"passed": accuracy.passed},
        "ceilings": asdict(ceilings),
        "detector_cost": asdict(cost),
        "share_of_gemm_ceiling": rate * cost.gflop / ceilings.gemm_gflops,
        "calibration_ms": list(timed.calibrations_ms),
        "cold_start": cold,
        "bundle": {
            "name": manifest.name,
            "sha256": detector.bundle.sha256,
            "detector_sha256": manifest.graphs["detector"]["fp32"].sha256,
            "detector_bytes": len(graph),
        },
        "provider": detector.provider,
        "precision": detector.precision,
        "threads": detector.threads,
        "machine": machine_context(),
    }


def _latencies(load, rounds):
    """Return the median and the tails, as upper confidence bounds, with the number of queries behind them."""
    values = [latency for r in rounds for latency in r.latencies_ms]
    judged_by = PERCENTILES.get(load.scenario)
    return {
        "queries": len(values),
        "p50": quantile(values, 0.5),
        "p90_bound": percentile_bound(values, 0.90),
        "p99_bound": percentile_bound(values, 0.99),
        "judged_by": None if judged_by is None else f"p{100 * judged_by:.0f}",
        "all": [round(value, 3) for value in values],
    }


def _digest(clips):
    digest = hashlib.sha256()
    for clip in clips:
        digest.update(clip.tobytes())
    return digest.hexdigest()
