"""One benchmark from end to end: outputs compared, then rounds timed between calibrations, then a report.

On a machine that others share, some rounds fall into its slow moments. Those are told by the calibration
kernel, never by their own figures: a round counts where the kernel was quick before it and after it. More
rounds are run until enough count, twice as many at most; how many were set aside is in the report.
"""

import hashlib
import tempfile
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from flowtell.benchmarks.accuracy import count_wrong
from flowtell.benchmarks.calibration import calibrate, measure_ceilings
from flowtell.benchmarks.cold_start import cold_start
from flowtell.benchmarks.graph_cost import graph_cost
from flowtell.benchmarks.machine import machine_context
from flowtell.benchmarks.percentiles import percentile_bound
from flowtell.benchmarks.scenarios import run_round
from flowtell.benchmarks.statistics import quantile
from flowtell.benchmarks.validity import PERCENTILES, RULES, reasons_against

__all__ = ["REPORT_SCHEMA", "Timed", "report_of", "time_rounds"]

REPORT_SCHEMA = 1

_MOST = 2
"""Times the rounds that are wanted, where the machine is too unsteady for them all to count."""


@dataclass(frozen=True)
class Timed:
    """Rounds of one load.

    Attributes:
        load: the `Load`.
        rounds: those that count; all where too few do.
        calibrations_ms: times of the calibration kernel before, between and after these.
        set_aside: rounds that were run and do not count, as the machine was slow beside them.
    """

    load: object
    rounds: tuple
    calibrations_ms: tuple
    set_aside: tuple = ()


def time_rounds(load, system, sample_count, rounds, calibrate=calibrate, progress=None):
    """Warm the system up with one query's worth of work, then run `rounds` rounds; return a `Timed`.

    Args:
        load: a `Load`.
        system: see `scenarios`.
        sample_count: how many samples there are.
        rounds: how many are wanted; of server one, as its queue must not start empty again and again.
        calibrate: function that times the fixed kernel, in ms.
        progress: called with (rounds that count, rounds wanted, seconds left) before each round.
    """
    system.issue(-1, (0,))
    while not system.collect(None):
        pass
    made, calibrations, kept = [], [calibrate()], []
    begun_s = time.monotonic()
    while len(kept) < rounds and len(made) < _MOST * rounds:
        if progress is not None:
            each_s = (time.monotonic() - begun_s) / len(made) if made else load.duration_s
            progress(len(kept), rounds, each_s * (rounds - len(kept)))
        made.append(run_round(load, system, sample_count, len(made)))
        calibrations.append(calibrate())
        kept = _steady(calibrations)
    if len(kept) < min(rounds, RULES.rounds):
        return Timed(load, tuple(made), tuple(calibrations))
    beside = sorted({place for index in kept for place in (index, index + 1)})
    return Timed(
        load,
        tuple(made[index] for index in kept),
        tuple(calibrations[place] for place in beside),
        tuple(one for index, one in enumerate(made) if index not in kept),
    )


def _steady(calibrations_ms):
    """Return the places of the rounds beside which the kernel was as quick as at its best, or nearly."""
    most_ms = (1 + RULES.machine) * min(calibrations_ms)
    pairs = enumerate(pairwise(calibrations_ms))
    return [index for index, (before_ms, after_ms) in pairs if max(before_ms, after_ms) <= most_ms]


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
    wrong = count_wrong((*rounds, *timed.set_aside), wanted, detector.precision)
    reasons = reasons_against(load, rounds, timed.calibrations_ms, wrong)
    rates = [r.samples_per_s for r in rounds]
    ceilings = measure_ceilings(timed.calibrations_ms)
    # every precision is the same arithmetic; float32 is the one that ONNX Runtime always runs
    cost = graph_cost(detector.bundle.read_graph("detector"), {"clips": clips[0][None]})
    rate = quantile(rates, 0.5)
    with tempfile.TemporaryDirectory() as folder:
        opened = (detector.bundle.path, provider, detector.precision, detector.threads)
        cold = cold_start(*opened, clips[0], Path(folder))
    return {
        "schema": REPORT_SCHEMA,
        "kind": "flowtell bench",
        "valid": not reasons,
        "reasons": reasons,
        "load": asdict(load),
        "samples": {"count": len(clips), "pairs": pairs, "sha256": _digest(clips)},
        "samples_per_s": {"median": rate, "rounds": rates},
        "rounds_set_aside": len(timed.set_aside),
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
            "detector_bytes": manifest.graphs["detector"][detector.precision].bytes,
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
