"""Live video: frames pushed one at a time, scores out as soon as they are known."""

from __future__ import annotations

import math
import numbers
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ._arguments import is_finite
from ._clips import FaceClip
from ._clock import StageClock
from ._cores import Core, Cores
from ._errors import InputError
from ._faces import Box
from ._file_run import known_in_order
from ._frame import RgbFrame
from ._host_frame import frame_from_host
from ._judging import JudgePool, Ticket
from ._pipeline import FaceGraphs
from ._result import Result
from ._run_control import RunControl
from ._verdict import Judge, JudgedClip, judged_clip, result_of, sigmoid

__all__ = ["Stream", "StreamScore"]


@dataclass(frozen=True)
class StreamScore:
    """One judged face clip of n pairs.

    Attributes:
        track: number of the face in its stream, from 0.
        start_s: time of its first frame, in seconds, as it was pushed.
        end_s: time of its last frame.
        box: (x, y, w, h) in px of the frame; one box for the whole clip; may reach outside the frame.
        is_background: whether, at its start, another face in the frame was more than twice as large.
        fake_probability: sigmoid of `logit`, 0 to 1.
        logit: of the clip.
        pair_logits: of its n pairs, in order.
    """

    track: int
    start_s: float
    end_s: float
    box: Box
    is_background: bool
    fake_probability: float
    logit: float
    pair_logits: tuple[float, ...]


class Stream:
    """Frames in, scores out; made by `Detector.stream`, for one thread at a time.

    Any number of streams share a detector. Frames of a file, pushed with their times, give the scores that
    `Detector.detect` gives for the file, bit for bit. Use as a context manager, or call `close`.
    """

    def __init__(
        self, graphs: FaceGraphs, pool: JudgePool, cores: Cores, judge: Judge, owner: object
    ) -> None:
        """Judge with `pool`, which lives as long as `owner` does."""
        self._owner = owner
        self._pool = pool
        self._cores = cores
        self._control = RunControl()
        self._judge = judge
        self._judged: list[JudgedClip] = []
        self._clock = StageClock()
        self._maker = graphs.clip_maker(self._clock)
        self._waiting: deque[tuple[FaceClip, Ticket]] = deque()
        self._known_scores: list[StreamScore] = []
        self._latest_s = -math.inf
        self._is_over = self._is_finished = self._has_failed = False

    def __enter__(self) -> Stream:
        """Return the stream."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def push(self, frame: Any, *, timestamp_s: float) -> list[StreamScore]:
        """Take the next frame; return the scores known by now that were not returned before, in order.

        It waits where more clips of this stream are pending than it works ahead, two calls for each thread
        of the detector; and where all of these threads are in calls, until one ends. What an error kept from
        being returned comes with the next call.

        Args:
            frame: `uint8 [H, W, 3]` RGB, upright, in host memory: a NumPy array, or an object with
                `__dlpack__` or `__array_interface__`. It is copied.
            timestamp_s: when it is shown, in seconds; not before the frame pushed last.

        Raises:
            InputError: for another frame or time, and where the stream or the detector is closed.
            ProviderError, BundleError: where a graph fails while it runs.
        """
        self._require_open()
        if not _is_time(timestamp_s) or timestamp_s < self._latest_s:
            raise InputError(f"timestamp_s must be a number and not go back, as {timestamp_s!r} does")
        image = frame_from_host(frame)
        self._latest_s = timestamp_s
        with self._cores.held(urgent=True) as core, self._whole_or_not():
            self._submit(self._maker.push(RgbFrame(image, float(timestamp_s))))
            return self._known(core, self._pool.clips_ahead)

    def finish(self) -> list[StreamScore]:
        """End the stream: its last clips end here; wait for every score and return those not yet returned.

        After an error of a graph it may be called again, for the scores of the other clips.

        Raises:
            InputError: where the stream or the detector is closed.
            ProviderError, BundleError: where a graph fails while it runs.
        """
        self._require_open()
        with self._cores.held(urgent=True) as core, self._whole_or_not():
            self._submit(self._maker.finish())
            scores = self._known(core, 0)
        self._is_over = self._is_finished = True
        return scores

    def result(self, name: str = "") -> Result:
        """Return the judgement of the video as far as its scores are known; after `finish`, of the whole.

        Then it is what `Detector.detect` says of a file of these frames, but for `file` and `timing_ms`
        (`decode` is 0: the host decodes). Before, and where a graph failed, `stopped` is `budget`. It may be
        asked for at any time, also of a closed stream. For it a stream keeps the logits of every clip, some
        1 kB a clip: begin a new stream where a video never ends.

        Args:
            name: what `file` says.
        """
        stopped = "all" if self._is_finished and not self._has_failed else "budget"
        return result_of(name, self._judged, self._maker, self._clock, self._judge, stopped=stopped)

    @contextmanager
    def _whole_or_not(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._has_failed = True
            raise

    def close(self) -> None:
        """End the stream; what is not yet judged is dropped."""
        self._is_over = True
        self._waiting.clear()
        self._pool.withdraw(self._control)

    def _require_open(self) -> None:
        if self._is_over:
            raise InputError("the stream has ended: open another one")
        self._pool.require_caller()

    def _submit(self, clips: Iterable[FaceClip]) -> None:
        for clip in clips:
            self._waiting.append((clip, self._pool.submit(clip.frames, self._control)))

    def _known(self, core: Core, may_wait: int) -> list[StreamScore]:
        """Return the scores from the oldest on: those that are there, and all but the last `may_wait`."""
        for clip, logits in known_in_order(self._waiting, may_wait, core, self._control):
            judged = judged_clip(clip, logits)
            self._judged.append(judged)
            score = StreamScore(
                clip.track,
                clip.start_s,
                clip.end_s,
                clip.box,
                clip.is_background,
                sigmoid(logits.clip_logit),
                logits.clip_logit,
                judged.clip.pair_logits,
            )
            self._known_scores.append(score)
        scores, self._known_scores = self._known_scores, []
        return scores


def _is_time(value: Any) -> bool:
    return isinstance(value, numbers.Real) and is_finite(value)
