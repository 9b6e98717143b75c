"""Looks at a file in short runs of frame pairs instead of whole clips, and as few as it takes.

A run is a part of a face clip: the clip's box, crops and track, and 2 or 3 of its consecutive pairs. Pairs
of one clip say nearly the same, so that runs spread over the file say more than as many pairs in a row. The
file is read whole, so that its clips and tracks are those of judging everything; crops and judging are saved.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from ._budget import EvenSample
from ._clips import FaceClip
from ._judging import ClipLogits
from ._sequential_test import SequentialTest
from ._verdict import JudgedLogit, deciding_tracks, mean_probability, sigmoid

__all__ = ["Judge", "RunPlan"]

Judge = Callable[[Iterable[FaceClip]], Iterator[tuple[FaceClip, ClipLogits]]]
"""Judges runs, a few ahead, and yields each with its logits in order."""

_RUN_PAIRS = 2
"""Runs of one pair would need a fifth fewer pairs still, but each takes two crops and a sixth more time."""

_MAX_RUNS = 512
"""Runs wait for the end of the file: 3 crops of 0.2 MB each at S = 256, 0.3 GB in all."""


class RunPlan:
    """Gathers the runs of one file, and then judges some of them.

    Attributes:
        sample: of the runs, evenly spread; at most 512 are kept.
        stopped: `all`, `budget` or `decided`; see `Result.stopped`.
        deciding: the tracks that count for the file, known when all clips have been added.
    """

    def __init__(self, pairs_per_clip: int) -> None:
        self._pairs_per_clip = pairs_per_clip
        self._clips: list[tuple[int, bool, int]] = []
        self._populations: dict[int, int] = {}
        self.sample: EvenSample[FaceClip] = EvenSample(_MAX_RUNS)
        self.stopped = "all"
        self.deciding: set[int] = set()

    def add(self, clip: FaceClip) -> list[FaceClip]:
        """Add the next clip of the file; return its runs, all of which are to be offered to the sample."""
        pairs, number = clip.pairs, len(self._clips)
        self._clips.append((clip.track, clip.is_background, pairs))
        self._populations[clip.track] = self._populations.get(clip.track, 0) + pairs // _RUN_PAIRS
        return list(_runs_of(clip, number))

    def close(self) -> int:
        """Say that the file has been read; return how many runs may be judged."""
        self.deciding = deciding_tracks(self._clips, self._pairs_per_clip)
        self._runs = [run for run in self.sample.by_rank() if run.track in self.deciding]
        return len(self._runs)

    def first(self, count: int) -> list[FaceClip]:
        """Return the `count` runs of the lowest ranks, which of one face are those that are judged first."""
        return self._runs[:count]

    def judge_for(
        self, compute_s: float, least_pairs: int, judge: Judge
    ) -> Iterator[tuple[FaceClip, ClipLogits]]:
        """Judge runs, ever more closely spread, until so many seconds have passed.

        One at least, and as many as have `least_pairs`: how quick a machine is must not make a verdict of
        what is too little for one.
        """
        ends_s = time.monotonic() + compute_s
        total = sum(self._populations[track] for track in self.deciding)
        pairs = 0
        for count, judged in enumerate(judge(self._runs), 1):
            yield judged
            pairs += len(judged[1].pair_logits)
            if time.monotonic() >= ends_s and pairs >= least_pairs:
                self.stopped = "all" if count == total else "budget"
                return
        self.stopped = "all" if len(self._runs) == total else "budget"

    def judge_until_decided(
        self, threshold: float, error_rate: float, judge: Judge
    ) -> Iterator[tuple[FaceClip, ClipLogits]]:
        """Judge runs until the rest would not change the verdict, as far as a test of `error_rate` can tell.

        The file is fake if the mean of any deciding face is above `threshold`, so one face that surely is
        ends the test, and each face is tested at its share of the error rate.
        """
        tests = {
            track: SequentialTest(self._populations[track], threshold, error_rate / len(self.deciding))
            for track in self.deciding
        }
        left = {track: [run for run in self._runs if run.track == track] for track in self.deciding}
        seen: dict[int, list[JudgedLogit]] = {track: [] for track in self.deciding}
        undecided = set(self.deciding)
        # of these there are more runs than are kept, and no look is left that would decide
        spent: set[int] = set()
        while undecided:
            wave: list[FaceClip] = []
            for track in sorted(undecided):
                wanted = next(look for look in tests[track].looks if look > len(seen[track]))
                count = wanted - len(seen[track])
                taken, left[track] = left[track][:count], left[track][count:]
                if len(taken) < count:
                    spent.add(track)
                wave += taken
            for run, logits in judge(wave):
                seen[run.track].append((run.part_of, logits.clip_logit, run.pairs))
                yield run, logits
            undecided -= spent
            for track in sorted(undecided):
                mean = mean_probability(seen[track])
                if tests[track].is_decided([sigmoid(logit) for _, logit, _ in seen[track]], mean):
                    undecided.discard(track)
                    if mean > threshold:
                        undecided.clear()
                        spent.clear()
        seen_all = all(len(seen[track]) == self._populations[track] for track in self.deciding)
        self.stopped = "budget" if spent else "all" if seen_all else "decided"


def _runs_of(clip: FaceClip, number: int) -> Iterator[FaceClip]:
    """Yield the clip cut into runs of 2 pairs that share a frame with the next; the last takes the rest."""
    count = clip.pairs // _RUN_PAIRS
    for index in range(count):
        first = index * _RUN_PAIRS
        yield clip.part(first, clip.pairs if index == count - 1 else first + _RUN_PAIRS, number)
