"""Keeps N of a stream of unknown length, evenly spread, without looking ahead."""

from __future__ import annotations

import heapq
from typing import Generic, TypeVar

from ._errors import InputError

__all__ = ["MAX_CLIPS_LIMIT", "EvenSample", "require_clip_budget"]

T = TypeVar("T")

MAX_CLIPS_LIMIT = 256
"""A budget's clips wait for the end of the file: 3.3 MB each at S = 256 and T = 16, 0.86 GB in all."""

_GOLDEN = 2654435769
"""2**32 over the golden ratio, rounded to odd."""

_RANKS = 1 << 32


class EvenSample(Generic[T]):
    """Keeps at most `size` of the items offered, spread evenly over all that were.

    Items that are not preferred stay only where there are too few of the others.

    Item i of its kind has the rank `i * _GOLDEN mod 2**32` and the lowest ranks stay. These are
    multiples of the golden ratio modulo 1, so those below any bound are evenly spaced (the three-gap
    theorem: gaps of at most three lengths), and no rhythm in the stream, such as two faces taking turns,
    can fall in step with the choice.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: list[tuple[bool, int, int, T]] = []
        self._counts = {False: 0, True: 0}
        self._latest_rank: int | None = None
        self.offered = 0

    def offer(self, item: T, *, preferred: bool) -> T | None:
        """Take the next item of the stream; return the one that is given up for it, if any, maybe itself."""
        rank = (self._counts[preferred] * _GOLDEN) % _RANKS
        self._counts[preferred] += 1
        self._latest_rank = rank if preferred else None
        # the heap gives up its lowest entry: not preferred before preferred, high rank before low
        entry = (preferred, -rank, self.offered, item)
        self.offered += 1
        if len(self._kept) < self._size:
            heapq.heappush(self._kept, entry)
            return None
        return heapq.heappushpop(self._kept, entry)[3]

    def may_keep_latest(self, seen_share: float, size: int | None = None) -> bool:
        """Guess whether the item offered last will be in the sample of `size`, or in the whole one.

        Args:
            seen_share: of the stream that has been offered so far, above 0; the rest is taken to be like it.
            size: as of `items`.

        Returns:
            False for an item that is not preferred: what becomes of it hangs on the others.
        """
        if self._latest_rank is None:
            return False
        # a header that lies may promise more items than there are ranks
        expected = round(min(self._counts[True] / seen_share, _RANKS))
        return _ranks_below(self._latest_rank, expected) < (size or self._size)

    def items(self, size: int | None = None) -> list[T]:
        """Return what is kept, in the order it was offered; what a sample of `size` would have kept."""
        kept = sorted(self._kept, key=_visit)[:size]
        return [item for *_, item in sorted(kept, key=lambda entry: entry[2])]

    def by_rank(self) -> list[T]:
        """Return what is kept, preferred or not, in an order of which every beginning is spread evenly."""
        kept = sorted(self._kept, key=lambda entry: (-entry[1], entry[2]))
        return [item for *_, item in kept]


def _ranks_below(bound: int, count: int) -> int:
    """Return how many of the first `count` items have a rank below `bound`."""
    # x mod m < bound where x // m and (x - bound) // m differ; the latter is (x + m - bound) // m - 1
    return count + _floor_sum(count, 0) - _floor_sum(count, _RANKS - bound)


def _floor_sum(count: int, start: int) -> int:
    """Return the sum of `(start + i * _GOLDEN) // _RANKS` over i from 0 to `count - 1`.

    The points below a line are counted by turning it, as in Euclid's algorithm, in as many steps as that
    (Graham, Knuth and Patashnik, Concrete Mathematics, section 3.5).
    """
    total, step, modulus = 0, _GOLDEN, _RANKS
    while True:
        total += step // modulus * (count * (count - 1) // 2) + start // modulus * count
        step, start = step % modulus, start % modulus
        count, start = divmod(step * count + start, modulus)
        if not count:
            return total
        step, modulus = modulus, step


def _visit(entry: tuple[bool, int, int, T]) -> tuple[bool, int]:
    """Sort by what a smaller sample would keep."""
    preferred, minus_rank, *_ = entry
    return not preferred, -minus_rank


def require_clip_budget(max_clips: int | None) -> int | None:
    """Return `max_clips` if it is None or an integer from 1 to 256.

    Raises:
        InputError: where it is not.
    """
    if max_clips is None:
        return None
    if isinstance(max_clips, bool) or not isinstance(max_clips, int) or not 1 <= max_clips <= MAX_CLIPS_LIMIT:
        raise InputError(
            f"the number of clips must be an integer from 1 to {MAX_CLIPS_LIMIT}, not {max_clips!r}; "
            "leave it out to judge every clip"
        )
    return max_clips
