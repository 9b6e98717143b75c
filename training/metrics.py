"""How well scores tell fake from real, with what the sample size can support."""

import math

import numpy as np

__all__ = [
    "auc",
    "auc_interval",
    "bootstrap_interval",
    "equal_error_rate",
    "equal_error_threshold",
    "expected_calibration_error",
    "fit_temperature",
    "rate_upper_bound",
    "reliability",
    "roc_curve",
    "sigmoid",
    "threshold_at_rate",
]


def auc(scores, labels):
    """Return the area under the ROC curve: how often a fake scores above a real one, ties counting half.

    Args:
        scores: float `[N]`, higher is more fake.
        labels: `[N]`, 1 fake, 0 real.

    Raises:
        ValueError: unless both classes are there.
    """
    scores, labels = np.asarray(scores, float), np.asarray(labels)
    fake, real = scores[labels == 1], scores[labels == 0]
    if not len(fake) or not len(real):
        raise ValueError("the AUC needs at least one real and one fake example")
    real = np.sort(real)
    below, up_to = (np.searchsorted(real, fake, side) for side in ("left", "right"))
    return float(np.mean(below + up_to) / (2 * len(real)))


def auc_interval(scores, labels, groups=None, level=0.95, draws=2000, seed=0):
    """Return (low, high) of a percentile bootstrap of the AUC; all else as for `bootstrap_interval`."""
    return bootstrap_interval(auc, scores, labels, groups, level, draws, seed)


def bootstrap_interval(statistic, scores, labels, groups=None, level=0.95, draws=2000, seed=0):
    """Return (low, high) of a percentile bootstrap of a statistic.

    Args:
        statistic: function of scores and labels to a number.
        scores: as for `auc`.
        labels: as for `auc`.
        groups: `[N]`; examples of one group are drawn together (files of one person are not independent).
            None: each on its own.
        level: of the interval.
        draws: resamples; those with one class only are drawn again.
        seed: of the resampling.

    Returns:
        (low, high); (None, None) where fewer than two groups hold a class: one says nothing of how much
        another would differ.

    Raises:
        ValueError: unless both classes are there.
    """
    scores, labels = np.asarray(scores, float), np.asarray(labels)
    groups = np.arange(len(scores)) if groups is None else np.asarray(groups)
    holders = [len(np.unique(groups[labels == label])) for label in (0, 1)]
    if 0 in holders:
        raise ValueError("an interval needs at least one real and one fake example")
    if min(holders) < 2:
        return None, None
    members = [np.flatnonzero(groups == g) for g in np.unique(groups)]
    rng = np.random.default_rng(seed)
    values = []
    while len(values) < draws:
        picked = np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])
        if 0 < labels[picked].sum() < len(picked):
            values.append(statistic(scores[picked], labels[picked]))
    tail = (1 - level) / 2
    return tuple(float(q) for q in np.quantile(values, [tail, 1 - tail]))


def roc_curve(scores, labels):
    """Return (thresholds, false-positive rates, true-positive rates), a point a distinct score and one more.

    A score above a threshold reads fake; thresholds fall from infinity, rates rise from 0 to 1.
    """
    scores, labels = np.asarray(scores, float), np.asarray(labels)
    thresholds = np.concatenate([np.unique(scores)[::-1], [-np.inf]])
    rates = []
    for label in (0, 1):
        of_class = np.sort(scores[labels == label])
        rates.append(1 - np.searchsorted(of_class, thresholds, "right") / len(of_class))
    return thresholds, rates[0], rates[1]


def equal_error_rate(scores, labels):
    """Return the error rate at which as many of the reals as of the fakes are misjudged, or nearly."""
    return _equal_errors(scores, labels)[1]


def equal_error_threshold(scores, labels):
    """Return the threshold at which that is so; minus infinity where everything must read fake.

    Every number from one score up to the next higher one judges these files alike: it is the middle of both,
    as far from the one as from the other. The lower one itself would be the highest original, where nothing
    lies between the classes, and the next original is as often above it as below.
    """
    return _equal_errors(scores, labels)[0]


def _equal_errors(scores, labels):
    thresholds, alarms, hits = roc_curve(scores, labels)
    nearest = int(np.argmin(np.abs(1 - hits - alarms)))
    threshold, above = float(thresholds[nearest]), float(thresholds[max(0, nearest - 1)])
    middle = threshold + (above - threshold) / 2
    # Of two neighbours among floats the middle is one of both.
    threshold = middle if threshold < middle < above else threshold
    return threshold, float((1 - hits[nearest] + alarms[nearest]) / 2)


def threshold_at_rate(real_scores, rate):
    """Return the lowest score of a real example that at most the share `rate` of the real ones exceeds."""
    ordered = np.sort(np.asarray(real_scores, float))[::-1]
    return float(ordered[int(np.floor(rate * len(ordered)))])


def rate_upper_bound(events, count, level=0.95):
    """Return the largest rate that `events` in `count` trials are compatible with, one-sided.

    Clopper and Pearson, "The use of confidence or fiducial limits", Biometrika 1934. With no event among n
    it is about 3 / n.
    """
    if events >= count:
        return 1.0
    low, high = events / count, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        seen = sum(_binomial(k, count, middle) for k in range(events + 1))
        low, high = (middle, high) if seen > 1 - level else (low, middle)
    return high


def _binomial(events, count, rate):
    """Return how likely exactly `events` in `count` trials are at a rate in (0, 1)."""
    # by logarithms: of thousands of trials the coefficient is larger than any float
    ways = math.lgamma(count + 1) - math.lgamma(events + 1) - math.lgamma(count - events + 1)
    return math.exp(ways + events * math.log(rate) + (count - events) * math.log1p(-rate))


def reliability(probabilities, labels, bins=10):
    """Return a dict for each bin that holds something: `count`, mean `probability`, `frequency` of fakes."""
    probabilities, labels = np.asarray(probabilities, float), np.asarray(labels, float)
    index = np.minimum((probabilities * bins).astype(int), bins - 1)
    return [
        {
            "count": int(np.sum(index == b)),
            "probability": float(probabilities[index == b].mean()),
            "frequency": float(labels[index == b].mean()),
        }
        for b in np.unique(index)
    ]


def expected_calibration_error(probabilities, labels, bins=10):
    """Return the mean gap between probability and frequency over equally wide bins, weighted by count."""
    filled = reliability(probabilities, labels, bins)
    gaps = [b["count"] * abs(b["probability"] - b["frequency"]) for b in filled]
    return float(sum(gaps) / len(np.asarray(labels)))


def fit_temperature(logits, labels, before=1.0):
    """Return the temperature of the least cross-entropy of `sigmoid(logits / temperature)`.

    Both classes count alike, however many examples each has.

    Args:
        logits: float `[N]`.
        labels: `[N]`, 1 fake, 0 real.
        before: a temperature that the logits have been divided by already.

    Returns:
        a temperature; times `before` it lies between 0.05 and 20, on a logarithmic grid of 1 %. It is 1 where
        the least would be best: logits that tell these examples apart say nothing of how often they err. And
        where the greatest would: they do not tell them apart at all.
    """
    logits, labels = np.asarray(logits, float), np.asarray(labels)
    weights = np.where(labels == 1, 0.5 / max(1, (labels == 1).sum()), 0.5 / max(1, (labels == 0).sum()))
    signed = np.where(labels == 1, -logits, logits)
    grid = np.exp(np.arange(np.log(0.05), np.log(20), 0.01)) / before
    losses = [np.sum(weights * np.logaddexp(0, signed / t)) for t in grid]
    best = int(np.argmin(losses))
    return float(grid[best]) if 0 < best < len(grid) - 1 else 1.0


def sigmoid(logits):
    """Return 1 / (1 + exp(-logits)) in float64, which is zero nowhere that the engine's is not."""
    logits = np.asarray(logits, np.float64)
    growth = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1.0, growth) / (1 + growth)
