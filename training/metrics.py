"""How well scores tell fake from real, with what the sample size can support."""

import numpy as np

__all__ = ["auc", "auc_interval", "equal_error_rate", "expected_calibration_error", "fit_temperature"]


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
    return float(np.mean((fake[:, None] > real) + 0.5 * (fake[:, None] == real)))


def auc_interval(scores, labels, groups=None, level=0.95, draws=2000, seed=0):
    """Return (low, high) of a percentile bootstrap of the AUC.

    Args:
        scores: as for `auc`.
        labels: as for `auc`.
        groups: `[N]`; examples of one group are drawn together (files of one person are not independent).
            None: each on its own.
        level: of the interval.
        draws: resamples; those with one class only are drawn again.
        seed: of the resampling.
    """
    scores, labels = np.asarray(scores, float), np.asarray(labels)
    groups = np.arange(len(scores)) if groups is None else np.asarray(groups)
    members = [np.flatnonzero(groups == g) for g in np.unique(groups)]
    rng = np.random.default_rng(seed)
    values = []
    while len(values) < draws:
        picked = np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])
        if 0 < labels[picked].sum() < len(picked):
            values.append(auc(scores[picked], labels[picked]))
    tail = (1 - level) / 2
    return tuple(float(q) for q in np.quantile(values, [tail, 1 - tail]))


def equal_error_rate(scores, labels):
    """Return the error rate at which as many of the reals as of the fakes are misjudged, or nearly."""
    scores, labels = np.asarray(scores, float), np.asarray(labels)
    rates = []
    for threshold in np.concatenate([[-np.inf], np.unique(scores)]):
        miss = np.mean(scores[labels == 1] <= threshold)
        alarm = np.mean(scores[labels == 0] > threshold)
        rates.append((abs(miss - alarm), (miss + alarm) / 2))
    return float(min(rates)[1])


def expected_calibration_error(probabilities, labels, bins=10):
    """Return the mean gap between probability and frequency over equally wide bins, weighted by count."""
    probabilities, labels = np.asarray(probabilities, float), np.asarray(labels, float)
    index = np.minimum((probabilities * bins).astype(int), bins - 1)
    gaps = [
        np.sum(index == b) * abs(probabilities[index == b].mean() - labels[index == b].mean())
        for b in np.unique(index)
    ]
    return float(sum(gaps) / len(labels))


def fit_temperature(logits, labels):
    """Return the temperature of the least cross-entropy of `sigmoid(logits / temperature)`.

    Both classes count alike, however many examples each has.

    Args:
        logits: float `[N]`.
        labels: `[N]`, 1 fake, 0 real.

    Returns:
        a temperature between 0.05 and 20; search on a logarithmic grid of 1 %.
    """
    logits, labels = np.asarray(logits, float), np.asarray(labels)
    weights = np.where(labels == 1, 0.5 / max(1, (labels == 1).sum()), 0.5 / max(1, (labels == 0).sum()))
    signed = np.where(labels == 1, -logits, logits)
    grid = np.exp(np.arange(np.log(0.05), np.log(20), 0.01))
    losses = [np.sum(weights * np.logaddexp(0, signed / t)) for t in grid]
    return float(grid[int(np.argmin(losses))])
