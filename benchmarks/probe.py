"""Measures one way to run a detector in a process of its own, so that its memory is its own as well.

The process compares its outputs with the reference's first, then, as often as it is asked, keeps the detector
as busy as it can be for some rounds: as many clips at a time as its threads and its calls hold. While it
waits it takes memory and no time, so that several can be measured in turn: a machine that is slow for a
while is slow for all of them.
"""

import json
import sys
from collections import OrderedDict
from dataclasses import asdict, dataclass

import numpy as np

from flowtell.benchmarks._child import Child
from flowtell.benchmarks.statistics import quantile

__all__ = ["CALLS_PER_ROUND", "Measured", "Probe", "Probes", "probe"]

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


class Probe:
    """A process that runs a detector one way until it is closed; use as a context manager."""

    def __init__(self, bundle_folder, point, samples):
        """Start it; whether it can run is seen by `measure`.

        Args:
            bundle_folder: of the bundle.
            point: a `Point`.
            samples: npz file with `clips`, uint8 `[N, T+1, S, S, 3]`, and `wanted`, float32 `[N, T+1]`: the
                reference's logits of their pairs, then of the clip.
        """
        words = json.dumps({"bundle": str(bundle_folder), "samples": str(samples)} | asdict(point))
        self._child = Child([sys.executable, "-m", "flowtell.benchmarks.probe", words])
        self._opened = None

    def __enter__(self):
        """Return the probe."""
        return self

    def __exit__(self, *_):
        """Close it."""
        self.close()

    def measure(self, duration_s):
        """Return a `Measured`.

        Args:
            duration_s: rounds are begun for so long; at least one is.
        """
        try:
            if self._opened is None:
                self._opened = self._answer()
            self._child.stdin.write(f"{duration_s}\n".encode())
            self._child.stdin.flush()
            figures = self._opened | self._answer()
        except (EOFError, BrokenPipeError):
            return Measured(failed=self._child.last_words())
        return Measured(**figures | {"rounds": tuple(figures["rounds"])})

    def close(self):
        """End the process."""
        self._child.close()

    def _answer(self):
        line = self._child.stdout.readline()
        if not line:
            raise EOFError
        return json.loads(line)


class Probes:
    """Measures points, and keeps the latest probes open to be measured again; use as a context manager."""

    KEPT = 4
    """Each holds a detector in memory; so many are raced at most."""

    def __init__(self, bundle_folder, samples, duration_s):
        """Open none yet.

        Args:
            bundle_folder: of the bundle.
            samples: dict of T to the samples of `Probe` with clips of that length.
            duration_s: of one measurement.
        """
        self._bundle, self._samples, self._duration_s = bundle_folder, samples, duration_s
        self._open = OrderedDict()

    def __enter__(self):
        """Return the object."""
        return self

    def __exit__(self, *_):
        """Close all probes."""
        while self._open:
            self._open.popitem()[1].close()

    def __call__(self, point):
        """Return the `Measured` of a `Point`."""
        if point not in self._open:
            if len(self._open) == self.KEPT:
                self._open.popitem(last=False)[1].close()
            self._open[point] = Probe(self._bundle, point, self._samples[point.pairs])
        self._open.move_to_end(point)
        return self._open[point].measure(self._duration_s)


def probe(bundle_folder, point, samples, duration_s):
    """Return the `Measured` of a `Point`, of a process that ends with it; see `Probe`."""
    with Probe(bundle_folder, point, samples) as one:
        return one.measure(duration_s)


def _serve(bundle, samples, provider, precision, threads, clips_per_call, pairs):
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
    _say(logit_drift=accuracy.largest_logit_difference, verdict_flips=accuracy.verdict_flips, open_ms=open_ms)
    load = Load("offline", samples_per_query=CALLS_PER_ROUND * threads * clips_per_call)
    with DetectorSystem(detector, clips) as system:
        for line in sys.stdin:
            timed, begun_s = [], time.perf_counter()
            while not timed or time.perf_counter() - begun_s < float(line):
                timed.append(run_round(load, system, len(clips), len(timed)))
            rates = [pairs * one.samples_per_s for one in timed]
            calls_ms = [1e3 * (one.ended_s - one.began_s) / CALLS_PER_ROUND for one in timed]
            _say(
                pairs_per_s=quantile(rates, 0.5),
                rounds=rates,
                latency_ms=quantile(calls_ms, 0.5),
                peak_memory_mb=peak_memory_mb(),
            )


def _say(**figures):
    print(json.dumps(figures), flush=True)


def _main():
    from flowtell import FlowtellError

    try:
        _serve(**json.loads(sys.argv[1]))
    except FlowtellError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    _main()
