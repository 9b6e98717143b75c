"""Judges face clips of every caller: one queue, a few workers, one call to the detector for several clips.

On a CPU a call holds one clip and the parallelism is in the workers: as fast as a batch, and then a score
cannot depend on what else was judged. Where the provider says so (a GPU), clips of one length that wait at
the same time share a call, whatever file or face they are from.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ._cores import Cores
from ._errors import BundleError, InputError, ProviderError
from ._run_control import RunControl
from ._runner import RunningCall
from ._sessions import GraphSession, require_shape

__all__ = ["ClipLogits", "JudgePool", "Ticket"]

_FLOW_STRIDE = 4
"""PWC-Net gives its flow at a quarter of the crop's size."""


@dataclass(frozen=True, eq=False)
class ClipLogits:
    """What the detector said about one clip of n pairs.

    Attributes:
        pair_logits: `float32 [n]`.
        clip_logit: of the whole clip.
        flow: `float32 [n, S/4, S/4, 2]` in px of the crop; None where it was not asked for.
        spent_s: the clip's share of the wall time of the call that judged it, in seconds.
    """

    pair_logits: NDArray[np.float32]
    clip_logit: float
    flow: NDArray[np.float32] | None
    spent_s: float


@dataclass(eq=False)
class Ticket:
    """A clip that waits to be judged, or is; `future` is for its `ClipLogits`."""

    frames: NDArray[np.uint8]
    with_flow: bool
    control: RunControl
    future: Future[ClipLogits] = field(default_factory=Future)

    def fits_with(self, other: Ticket) -> bool:
        """Tell whether both can be judged in one call."""
        return self.frames.shape == other.frames.shape and self.with_flow == other.with_flow


class JudgePool:
    """Workers that judge what is submitted, in the order of submission."""

    def __init__(self, session: GraphSession, workers: int, clips_per_call: int, cores: Cores) -> None:
        """Start `workers` threads; raises ProviderError where this process may not have so many."""
        self._session = session
        self._clips_per_call = clips_per_call
        self._cores = cores
        self._waiting: deque[Ticket] = deque()
        self._running: dict[RunningCall, list[Ticket]] = {}
        self._changed = threading.Condition()
        self._owner = os.getpid()
        self._is_closed = False
        # of one run: a call for each worker and the one after it
        self.clips_ahead = 2 * workers * clips_per_call
        self._threads = [
            threading.Thread(target=self._work, name=f"flowtell-judge-{number}", daemon=True)
            for number in range(workers)
        ]
        try:
            for thread in self._threads:
                thread.start()
        except RuntimeError as error:
            self._threads = [thread for thread in self._threads if thread.ident is not None]
            self.close()
            raise ProviderError(
                f"this process may not start {workers} more threads ({error}): open the detector with fewer"
            ) from None

    def submit(self, frames: NDArray[np.uint8], control: RunControl, *, with_flow: bool = False) -> Ticket:
        """Queue one clip, C-contiguous `uint8 [n + 1, S, S, 3]`.

        Raises:
            InputError: where the detector has been closed.
        """
        ticket = Ticket(frames, with_flow, control)
        with self._changed:
            self.require_open()
            self._waiting.append(ticket)
            self._changed.notify()
        return ticket

    @property
    def is_own(self) -> bool:
        """Whether this process started the workers, and is no fork of the one that did."""
        return os.getpid() == self._owner

    def require_open(self) -> None:
        """Return where the pool still judges.

        Raises:
            InputError: where the detector has been closed, or this process is a fork, which has no workers.
        """
        if not self.is_own:
            raise InputError("the detector was opened before this process was forked: open one here")
        if self._is_closed:
            raise InputError("the detector is closed: open it again")

    def require_caller(self) -> None:
        """Return where the pool still judges and the calling thread may wait for it.

        Raises:
            InputError: as `require_open`, and from within the progress of a run that the pool judges for.
        """
        self.require_open()
        self._cores.require_none_held()

    def drop(self, ticket: Ticket) -> None:
        """Take one clip back: where it still waits it is not judged."""
        if not self.is_own:
            return
        with self._changed:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
                ticket.future.cancel()

    def withdraw(self, control: RunControl) -> None:
        """Take a run's clips back: those that wait are not judged, and a call for no other run is ended."""
        if not self.is_own:
            # as in `close`
            return
        with self._changed:
            for ticket in [ticket for ticket in self._waiting if ticket.control is control]:
                self._waiting.remove(ticket)
                ticket.future.cancel()
            for call, tickets in self._running.items():
                if all(ticket.control is control for ticket in tickets):
                    call.stop()

    def close(self) -> None:
        """End every worker and every call; what still waits is cancelled."""
        if not self.is_own:
            # they are another process's, as are those who hold the lock
            return
        with self._changed:
            self._is_closed = True
            for ticket in self._waiting:
                ticket.future.cancel()
            self._waiting.clear()
            for call in self._running:
                call.stop()
            self._changed.notify_all()
        # those who hold a core may themselves wait for whoever closes, in their progress
        self._cores.end()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_closed)
                if self._is_closed:
                    return
            # the clips are chosen when there is a core for them: by then more may wait, or fewer be wanted
            with self._cores.held(urgent=False):
                self._judge_next()

    def _judge_next(self) -> None:
        with self._changed:
            tickets = self._take_batch()
            if not tickets:
                return
            call = RunningCall()
            self._running[call] = tickets
        try:
            scores = self._scores(tickets, call)
        except BaseException as error:
            reason = CancelledError() if call.is_stopped else error
            for ticket in tickets:
                ticket.future.set_exception(reason)
        else:
            for ticket, score in zip(tickets, scores, strict=True):
                ticket.future.set_result(score)
        finally:
            with self._changed:
                del self._running[call]

    def _take_batch(self) -> list[Ticket]:
        while self._waiting:
            # first come, first served, but for runs that another run of the same caller goes before
            first = next(
                (ticket for ticket in self._waiting if not ticket.control.is_behind), self._waiting[0]
            )
            alike = [ticket for ticket in self._waiting if ticket is first or ticket.fits_with(first)]
            alike.sort(key=lambda ticket: (ticket is not first, ticket.control.is_behind))
            batch = alike[: self._clips_per_call]
            for ticket in batch:
                self._waiting.remove(ticket)
            wanted = [ticket for ticket in batch if ticket.future.set_running_or_notify_cancel()]
            if wanted:
                return wanted
        return []

    def _scores(self, tickets: Sequence[Ticket], call: RunningCall) -> list[ClipLogits]:
        start_s = time.perf_counter()
        first = tickets[0]
        clips = first.frames[None] if len(tickets) == 1 else np.stack([ticket.frames for ticket in tickets])
        names = ("pair_logits", "clip_logit", "flow") if first.with_flow else ("pair_logits", "clip_logit")
        pair_logits, clip_logits, *flows = self._session.run(names, call, clips=clips)
        count, pairs, side = len(tickets), clips.shape[1] - 1, clips.shape[2] // _FLOW_STRIDE
        require_shape(pair_logits, (count, pairs), "detector.onnx")
        require_shape(clip_logits, (count,), "detector.onnx")
        for flow in flows:
            require_shape(flow, (count, pairs, side, side, 2), "detector.onnx")
        if not (np.isfinite(pair_logits).all() and np.isfinite(clip_logits).all()):
            # a number that is none must not become a verdict
            raise BundleError(
                "detector.onnx gave a logit that is not a number: the bundle is not fit for use"
            )
        spent_s = (time.perf_counter() - start_s) / count
        return [
            ClipLogits(pair_logits[i], float(clip_logits[i]), flows[0][i] if flows else None, spent_s)
            for i in range(count)
        ]
