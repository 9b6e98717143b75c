"""One file from its path to its result: decoding, following faces and judging clips at the same time."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError

from ._budget import MAX_CLIPS_LIMIT, EvenSample
from ._clips import FaceClip
from ._clock import StageClock
from ._cores import Core, Cores
from ._effort import EVERYTHING, Effort
from ._errors import DecodeError, InputError
from ._foresight import Foresight
from ._frame import Frame
from ._interpreters import is_isolated
from ._judging import ClipLogits, JudgePool, Ticket
from ._manifest import Manifest
from ._pipeline import ClipReader, FaceGraphs, Progress
from ._read_ahead import ReadAhead
from ._result import Result
from ._run_control import Interrupt, RunControl, TimeUpError
from ._runs import RunPlan
from ._verdict import Judge, JudgedClip, judged_clip, result_of

__all__ = ["FileRun", "judged_in_order", "known_in_order"]

_FRAMES_AHEAD_BYTES = 1 << 24
"""Decoded frames that wait: 16 MiB, five of 1080p in 4:2:0; one at least, however large. The process that
decodes them works ahead by twice as much."""

_FORESEEN_RUNS = 18
"""Runs that are judged while a file is still being read: those of the sequential test's first three looks at
one face. Of 54 development files 37 need more."""


class FileRun:
    """Judges one file, once."""

    def __init__(
        self,
        graphs: FaceGraphs,
        pool: JudgePool,
        cores: Cores,
        path: str | os.PathLike[str],
        effort: Effort,
        control: RunControl,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        """Judge as much of the file as `effort` says."""
        self._pool = pool
        self._cores = cores
        self._path = path
        self._effort = effort
        self._control = control
        self._clock = StageClock()
        is_sampled = effort != EVERYTHING
        watched = None if progress is None else self._watched(progress)
        self._reader = ClipReader(graphs, path, self._clock, watched, is_sampled=is_sampled)
        self._judged: list[JudgedClip] = []
        self._deciding: set[int] | None = None
        self._stopped = "all"
        self._time_is_up = False
        self._colours_failed: DecodeError | None = None
        self._callers_error: DecodeError | None = None

    def judge(self, manifest: Manifest) -> None:
        """Read the file and judge it.

        Raises:
            CancelledError: where the run was cancelled.
            InputError: where the detector was closed.
            ProviderError, BundleError: where a graph fails while it runs.
        """
        interrupt = Interrupt()
        source = self._reader.frames(interrupt)
        # a process of its own decodes: whoever waits for it needs no core, and must not keep one from others
        cores = None if is_isolated() else self._cores
        ahead = ReadAhead(source, _frame_bytes, _FRAMES_AHEAD_BYTES, cores, self._control, interrupt)
        try:
            with ahead, self._cores.held(urgent=True, control=self._control) as core:
                clips = self._reader.clips(iter(lambda: self._next_frame(ahead, core), None))
                if self._effort.is_by_runs:
                    self._judge_runs(clips, manifest, core)
                elif self._effort == EVERYTHING:
                    self._keep(judged_in_order(self._pool, clips, core, self._control))
                else:
                    self._judge_sample(clips, core)
        except DecodeError as error:
            if error is self._callers_error:
                raise
            # of a clip that was to be judged: those before it are no sample
            self._colours_failed = error
            self._judged.clear()
            self._stopped = "budget"
        except TimeUpError:
            self._time_is_up = True
            self._stopped = "budget"

    def result(self, judge: Judge) -> Result:
        """Return what came out of judging the file, by what judged it."""
        failure = self._reader.failure or self._colours_failed
        if self._time_is_up:
            failure = DecodeError("timed_out", "its time was up before it was judged")
        return result_of(
            os.fspath(self._path),
            self._judged,
            self._reader.maker,
            self._clock,
            judge,
            failure=failure,
            deciding=self._deciding,
            stopped=self._stopped,
        )

    def _watched(self, progress: Callable[[Progress], None]) -> Callable[[Progress], None]:
        def call(latest: Progress) -> None:
            try:
                progress(latest)
            except DecodeError as error:
                # of another file, which the caller reads
                self._callers_error = error
                raise

        return call

    def _next_frame(self, ahead: ReadAhead[Frame], core: Core) -> Frame | None:
        # a sample is judged once the file has been read, which may be hours after the detector was closed
        self._pool.require_open()
        return ahead.get(core)

    def _judge_sample(self, clips: Iterable[FaceClip], core: Core) -> None:
        """Judge a sample of the clips, which is known when the file has been read; begin with likely ones."""
        effort, reader = self._effort, self._reader
        sample: EvenSample[FaceClip] = EvenSample(effort.max_clips or MAX_CLIPS_LIMIT)
        with Foresight(self._pool, self._control) as foresight:
            for clip in clips:
                size = None if reader.duration_s is None else _sample_size(effort, reader.duration_s)
                foresight.offer(clip, sample, reader.share_until(clip.end_s), size)
            chosen = sample.items(_sample_size(effort, reader.time_s))
            reader.expect(len(chosen))
            self._stopped = "all" if sample.offered == len(chosen) else "budget"
            foresight.give_up_others(chosen)
            self._keep(judged_in_order(self._pool, chosen, core, self._control, foresight.submit))

    def _judge_runs(self, clips: Iterable[FaceClip], manifest: Manifest, core: Core) -> None:
        """Judge runs of the clips until there is enough; begin with those that a test asks for first."""
        effort, reader = self._effort, self._reader
        plan = RunPlan(manifest.pairs_per_clip)
        with Foresight(self._pool, self._control) as foresight:

            def judge(chosen: Iterable[FaceClip]) -> Iterator[tuple[FaceClip, ClipLogits]]:
                return judged_in_order(self._pool, chosen, core, self._control, foresight.submit)

            for clip in clips:
                for run in plan.add(clip):
                    # a budget of time begins when the file has been read
                    share = None if effort.error_rate is None else reader.share_until(run.end_s)
                    foresight.offer(run, plan.sample, share, _FORESEEN_RUNS)
            reader.expect(plan.close())
            self._deciding = plan.deciding
            foresight.give_up_others(plan.first(_FORESEEN_RUNS))
            try:
                if effort.compute_s is not None:
                    self._keep(plan.judge_for(effort.compute_s, manifest.least_evidence.pairs, judge))
                elif effort.error_rate is not None:
                    threshold = manifest.thresholds[0].fake_probability
                    self._keep(plan.judge_until_decided(threshold, effort.error_rate, judge))
            finally:
                self._judged.sort(key=lambda item: item.clip.start_s)
        self._stopped = plan.stopped

    def _keep(self, judged: Iterator[tuple[FaceClip, ClipLogits]]) -> None:
        for clip, logits in judged:
            self._judged.append(judged_clip(clip, logits))
            self._reader.count_judged()


def judged_in_order(
    pool: JudgePool,
    clips: Iterable[FaceClip],
    core: Core,
    control: RunControl,
    submit: Callable[[FaceClip], Ticket] | None = None,
) -> Iterator[tuple[FaceClip, ClipLogits]]:
    """Yield each clip with what the detector says about it, in order, a few clips ahead and no more.

    Args:
        pool: judges them.
        clips: of the run.
        core: lent while the next clip is not known.
        control: of the run.
        submit: hands a clip to the pool, or finds where that was done before; None does the former.

    Raises:
        TimeUpError, CancelledError: where the run has no more time or was cancelled.
        InputError: where the detector was closed.
        ProviderError, BundleError: where the graph fails while it runs.
    """
    control.check()
    waiting: deque[tuple[FaceClip, Ticket]] = deque()
    control.on_cancel(lambda: pool.withdraw(control))
    try:
        for clip in clips:
            control.check()
            waiting.append((clip, submit(clip) if submit else pool.submit(clip.frames, control)))
            yield from known_in_order(waiting, pool.clips_ahead, core, control)
        yield from known_in_order(waiting, 0, core, control)
    except BaseException:
        # not at the end of a wave: runs that were begun for the next one wait
        pool.withdraw(control)
        raise


def known_in_order(
    waiting: deque[tuple[FaceClip, Ticket]], may_wait: int, core: Core, control: RunControl
) -> Iterator[tuple[FaceClip, ClipLogits]]:
    """Take from `waiting` and yield, oldest first, what is known, and all but the last `may_wait` clips.

    Raises:
        TimeUpError, CancelledError, InputError, ProviderError, BundleError: as `judged_in_order`.
    """
    while waiting and (waiting[0][1].future.done() or len(waiting) > may_wait):
        clip, ticket = waiting.popleft()
        yield clip, _logits_of(ticket, core, control)


def _logits_of(ticket: Ticket, core: Core, control: RunControl) -> ClipLogits:
    """Wait for a clip's logits, lending `core` meanwhile; raises as `judged_in_order`."""
    future = ticket.future
    try:
        if not future.done():
            with core.lent():
                future.exception(control.remaining_s())
        return future.result(0)
    except TimeoutError:
        raise TimeUpError from None
    except CancelledError:
        control.check()
        raise InputError("the detector was closed while it judged: open it again") from None


def _sample_size(effort: Effort, length_s: float) -> int | None:
    """Return how many clips of a file of that length are judged; None for all that the sample holds."""
    if effort.clips_per_minute is None:
        return effort.max_clips
    wanted = effort.clips_per_minute * length_s / 60
    return max(math.ceil(min(wanted, MAX_CLIPS_LIMIT)), 1)


def _frame_bytes(frame: Frame) -> int:
    return frame.nbytes
