"""Percentiles of latency that a run of this length can support.

A run of n queries shows an order statistic, not the percentile of the machine. As in loadgen's early
stopping, the percentile is stated as an upper confidence bound: the smallest order statistic that lies at or
above the true percentile with the confidence asked for. How many of n queries lie below the true p-quantile
is binomial with (n, p), so the k-th smallest is such a bound where P(Binomial(n, p) < k) >= confidence.
"""

import math

__all__ = ["CONFIDENCE", "percentile_bound", "queries_needed"]

CONFIDENCE = 0.99
"""As loadgen's early stopping has it."""


def queries_needed(share, confidence=CONFIDENCE):
    """Return the smallest number of queries that support a percentile: 44 for p90, 459 for p99.

    The largest of n queries is a bound where `share ** n <= 1 - confidence`.

    Args:
        share: of the percentile, above 0 and below 1 (0.9 for p90).
        confidence: the same range.
    """
    return math.ceil(math.log(1 - confidence) / math.log(share))


def percentile_bound(values, share, confidence=CONFIDENCE):
    """Return an upper confidence bound of a percentile; None where there are too few values for one.

    Args:
        values: independent measurements, any order.
        share: of the percentile, above 0 and below 1.
        confidence: that the true percentile is at most what is returned.
    """
    ordered = sorted(values)
    count = len(ordered)
    below = 0.0
    for index, value in enumerate(ordered):
        below += math.exp(_log_binomial(count, index, share))
        if below >= confidence:
            return value
    return None


def _log_binomial(count, hits, share):
    """Logarithm of P(Binomial(count, share) = hits): as a plain product it would underflow from 1,000 on."""
    choose = math.lgamma(count + 1) - math.lgamma(hits + 1) - math.lgamma(count - hits + 1)
    return choose + hits * math.log(share) + (count - hits) * math.log1p(-share)
