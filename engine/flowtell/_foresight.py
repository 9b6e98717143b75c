"""Judges clips of a sample while the file is still being read, where they will probably stay in it."""

from __future__ import annotations

from collections.abc import Iterable

from ._budget import EvenSample
from ._clips import FaceClip
from ._judging import JudgePool, Ticket
from ._run_control import RunControl

__all__ = ["Foresight"]


class Foresight:
    """Clips of one run that are being judged before it is known that they count.

    A clip's scores do not depend on when it is judged: a wrong guess costs its crops, which the thread that
    reads makes, and time on a core that had nothing to judge. Use as a context manager: leaving it ends what
    is still being judged.
    """

    def __init__(self, pool: JudgePool, control: RunControl) -> None:
        self._pool = pool
        self._control = control
        # by the clip's identity: the sample holds the clip for as long as it is here
        self._tickets: dict[int, Ticket] = {}

    def __enter__(self) -> Foresight:
        """Have a cancelled run end what it judges."""
        self._control.on_cancel(lambda: self._pool.withdraw(self._control))
        return self

    def __exit__(self, *_: object) -> None:
        """End what is still being judged."""
        self._pool.withdraw(self._control)
        # the run's control holds this object, in a cycle
        self._tickets.clear()

    def offer(
        self, clip: FaceClip, sample: EvenSample[FaceClip], seen_share: float | None, size: int | None
    ) -> None:
        """Offer the next clip to the sample, and judge it where it will probably be among `size` of them.

        Args:
            clip: of the run.
            sample: of its clips.
            seen_share: of the file that has been read so far; None where nothing is to be begun.
            size: as of `EvenSample.items`.

        Raises:
            InputError: where the detector has been closed.
        """
        given_up = sample.offer(clip, preferred=not clip.is_background)
        ticket = None if given_up is None else self._tickets.pop(id(given_up), None)
        if ticket is not None:
            self._pool.drop(ticket)
        if given_up is not clip and seen_share is not None and sample.may_keep_latest(seen_share, size):
            self._tickets[id(clip)] = self._pool.submit(clip.frames, self._control)

    def give_up_others(self, chosen: Iterable[FaceClip]) -> None:
        """Judge no clip but these."""
        kept = {id(clip) for clip in chosen}
        for key in self._tickets.keys() - kept:
            self._pool.drop(self._tickets.pop(key))

    def submit(self, clip: FaceClip) -> Ticket:
        """Return the ticket of a clip, whether it was begun or not; raises as `offer`."""
        ticket = self._tickets.pop(id(clip), None)
        return ticket or self._pool.submit(clip.frames, self._control)
