"""Measures one way to run a detector in a process of its own, so that its memory is its own as well.

The process compares its outputs with the reference's first, then keeps the detector as busy as it can be
for some rounds: as many clips at a time as its threads and its calls hold.
"""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass

import numpy as np

from flowtell.benchmarks.statistics import quantile

__all__ = ["CALLS_PER_ROUND", "Measured", "probe"]

CALLS_PER_ROUND = 2
"""Of each thread: the first call of a round may begin before its batch is full, the next do not."""


@dataclass(frozen=True)
class Measured:
    """What a way to run a detector gives.

    Attributes:
        failed: why it does not run, in one sentence; None where it does, and everything else is None where
            it does not.
        logit_drift: largest difference of a logit from the reference's.
        verdict_flips: clips whose verdict is another.
        pairs_per_s: median over the rounds.
        rounds: pairs a second of each round.
        latency_ms: how long a call takes while the detector is kept busy, median over the rounds.
        open_ms: to open the detector.
        peak_memory_mb: largest resident memory of the process, everything included.
    """

    failed: str | None = None
    logit_drift: float | None = None
    verdict_flips: int | None = None
    pairs_per_s: float | None = None
    rounds: tuple | None = None
    latency_ms: float | None = None
    open_ms: float | None = None
    peak_memory_mb: float | None = None


def probe(bundle_folder, point, samples, duration_s):
    """Return the `Measured` of a `Point`.

    Args:
        bundle_folder: of the bundle.
        point: a `Point`.
        samples: npz file with `clips`, uint8 `[N, T+1, S, S, 3]`, and `wanted`, float32 `[N, T+1]`: the
            reference's logits of their pairs, then of the clip.
        duration_s: rounds are begun for so long; at least one is.
    """
    words = json.dumps(
        {"bundle": str(bundle_folder), "samples": str(samples), "duration_s": duration_s} | asdict(point)
    )
    command = [sys.executable, "-m", "flowtell.benchmarks.probe", words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
        return Measured(failed=last)
    figures = json.loads(done.stdout)
    return Measured(**figures | {"rounds": tuple(figures["rounds"])})


def _measure(bundle, samples, duration_s, provider, precision, threads, clips_per_call, pairs):
    import time

    import flowtell
    from flowtell.benchmarks.accuracy import compare_outputs
    from flowtell.benchmarks.detector_system import DetectorSystem, clip_outputs
    from flowtell.benchmarks.machine import peak_memory_mb
    from flowtell.benchmarks.scenarios import Load, run_round

    with np.load(samples) as stored:
        clips, wanted = list(stored["clips"]), stored["wanted"]
    begun_s = time.perf_counter()
    detector = flowtell.Detector.open(
        bundle, provider=provider, precision=precision, threads=threads, clips_per_call=clips_per_call
    )
    open_ms = 1e3 * (time.perf_counter() - begun_s)
    threshold = detector.bundle.manifest.thresholds[0].fake_probability
    got = [clip_outputs(detector, clip) for clip in clips]
    accuracy = compare_outputs(wanted, got, precision, threshold, "the samples' own")
    load = Load("offline", samples_per_query=CALLS_PER_ROUND * threads * clips_per_call)
    with DetectorSystem(detector, clips) as system:
        timed, begun_s = [], time.perf_counter()
        while not timed or time.perf_counter() - begun_s < duration_s:
            timed.append(run_round(load, system, len(clips), len(timed)))
    rates = [pairs * one.samples_per_s for one in timed]
    calls_ms = [1e3 * (one.ended_s - one.began_s) / CALLS_PER_ROUND for one in timed]
    return {
        "logit_drift": accuracy.largest_logit_difference,
        "verdict_flips": accuracy.verdict_flips,
        "pairs_per_s": quantile(rates, 0.5),
        "rounds": rates,
        "latency_ms": quantile(calls_ms, 0.5),
        "open_ms": open_ms,
        "peak_memory_mb": peak_memory_mb(),
    }


def _main():
    from flowtell import FlowtellError

    try:
        print(json.dumps(_measure(**json.loads(sys.argv[1]))))
    except FlowtellError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    _main()
