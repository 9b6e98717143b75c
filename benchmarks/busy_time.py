"""When the detector of an open `flowtell.Detector` was at work: the engine itself only adds its calls up."""

import time
from contextlib import contextmanager

__all__ = ["covered_s", "watched_calls"]


@contextmanager
def watched_calls(detector):
    """Yield the list to which each call that judges clips adds its (begin, end) on `time.perf_counter`."""
    spans, pool = [], detector._pool
    judge = pool._scores

    def timed(tickets, call):
        begun_s = time.perf_counter()
        try:
            return judge(tickets, call)
        finally:
            spans.append((begun_s, time.perf_counter()))

    pool._scores = timed
    try:
        yield spans
    finally:
        del pool._scores


def covered_s(spans, begun_s, ended_s):
    """Return how much of the time from `begun_s` to `ended_s` lies within at least one of `spans`.

    Args:
        spans: pairs (begin, end) in seconds, in any order; they may overlap.
        begun_s: where to begin to count.
        ended_s: where to end.
    """
    covered, known_until_s = 0.0, begun_s
    for first_s, last_s in sorted(spans):
        covered += max(min(last_s, ended_s) - max(first_s, known_until_s), 0.0)
        known_until_s = max(known_until_s, last_s)
    return covered
