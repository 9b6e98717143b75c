"""Judges a batch of files while their decoders are killed at random moments, and compares with a quiet run.

    python tests/media/kills.py [VIDEO...] [--bundle DIR] [--kills N] [--seed N]

Without videos, it judges each bundled sample three times. Ends with 1 where another file than those whose
decoder was killed was judged differently.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from processes import children_of, cpu_ticks_of

from flowtell import Detector, Result, TimingMs, samples

_MOMENT_S = 0.05
"""Five ticks of the clock that processes are charged by."""


@dataclass(frozen=True)
class Report:
    """How a disturbed batch went: kills done, files that report one, and what else is different."""

    kills: int
    reported: int
    unlike: tuple[str, ...]


def compare(detector: Detector, paths: Sequence[Path], kills: int, seed: int) -> Report:
    """Judge `paths` twice, in peace and with so many kills, and compare the results file by file."""
    quiet = list(detector.detect_many(paths))
    mean_s = sum(result.timing_ms.total for result in quiet) / 1000 / (kills + 1)
    done = threading.Event()
    killer = _Killer(done, kills, mean_s, np.random.default_rng(seed))
    killer.start()
    try:
        disturbed = list(detector.detect_many(paths))
    finally:
        done.set()
        killer.join()
    reported = 0
    unlike = []
    for number, (was, now) in enumerate(zip(quiet, disturbed, strict=True)):
        if "SIGKILL" in (now.reason or ""):
            reported += 1
            if now.state not in ("truncated", "undecodable") or not _is_beginning(now, was):
                unlike.append(f"{number}: {now.file} was killed and is not the beginning of what it was")
        elif _timeless(was) != _timeless(now):
            unlike.append(
                f"{number}: {now.file} was not killed: {was.state} became {now.state}, {now.reason}"
            )
    return Report(killer.killed, reported, tuple(unlike))


class _Killer(threading.Thread):
    def __init__(self, done: threading.Event, kills: int, mean_s: float, rng: np.random.Generator) -> None:
        super().__init__(daemon=True)
        self._done, self._kills, self._mean_s, self._rng = done, kills, mean_s, rng
        self.killed = 0

    def run(self) -> None:
        """Kill one decoder at work after the other, waiting exponentially distributed times between."""
        while self.killed < self._kills and not self._done.wait(float(self._rng.exponential(self._mean_s))):
            while not (working := self._decoders_at_work()) and not self._done.is_set():
                pass
            if working:
                os.kill(working[int(self._rng.integers(len(working)))], signal.SIGKILL)
                self.killed += 1

    def _decoders_at_work(self) -> list[int]:
        """Children that computed in the last moments: an idle one may die without a file that misses it."""
        before = {child: cpu_ticks_of(child) for child in children_of(os.getpid())}
        self._done.wait(_MOMENT_S)
        return [child for child, ticks in before.items() if cpu_ticks_of(child) > ticks]


def _timeless(result: Result) -> Result:
    return replace(result, timing_ms=TimingMs(0, 0, 0, 0, 0))


def _is_beginning(now: Result, was: Result) -> bool:
    """Tell whether the clips of `now` are the first of `was`, but for each face's last: it may be shorter."""
    whole = {face.track: face.clips for face in was.faces}
    return all(face.clips[:-1] == whole.get(face.track, ())[: len(face.clips) - 1] for face in now.faces)


def main() -> int:
    """Compare, print the report, return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("videos", nargs="*", type=Path)
    parser.add_argument("--bundle", type=Path, help="default: the packaged one")
    parser.add_argument("--kills", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    paths = arguments.videos or [samples.natural_path(), samples.swapped_path()] * 3
    with Detector.open(arguments.bundle) as detector:
        report = compare(detector, paths, arguments.kills, arguments.seed)
    print(report)
    return 1 if report.unlike else 0


if __name__ == "__main__":
    sys.exit(main())
