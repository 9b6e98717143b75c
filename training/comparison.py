"""Detectors beside each other on the same files: figures of plain scores, and what one gains over another."""

import re

import numpy as np

from flowtell.training.labels import identity_groups
from flowtell.training.metrics import auc, bootstrap_interval, equal_error_rate

__all__ = ["gain", "own_originals", "ranking_figures", "risk_coverage"]

_TAKE = re.compile(r"(?<=_)\d{4}(?=_|$)")


def own_originals(videos):
    """Return the pairs (position of a fake, position of the real video that it was made from).

    Names say so, as FaceForensics++ and Celeb-DF give them.
    """
    return [
        (f, o)
        for f, fake in enumerate(videos)
        for o, original in enumerate(videos)
        if fake.label == 1 and _is_original_of(original, fake)
    ]


def ranking_figures(videos, scores, aside=()):
    """Return how well scores rank files: what needs no threshold and no calibration.

    Args:
        videos: list of `LabelledVideo`.
        scores: float `[N]`, higher is more fake.
        aside: methods of real videos that are left out of `without`.

    Returns:
        dict: `auc`, `equal_error_rate` and `pairs_ranked_rightly` (the share of fakes that score above their
        own original), each a dict of `value` and `interval` (95 %, people resampled), `without` with the same
        `auc` over the files whose method is not set aside, and `auc_by_method` against all originals.
    """
    scores = np.asarray(scores, float)
    labels, people, methods = _columns(videos)
    kept = ~np.isin(methods, list(aside))
    figures = {
        "files": len(videos),
        "auc": _with_interval(auc, scores, labels, people),
        "equal_error_rate": _with_interval(equal_error_rate, scores, labels, people),
        "pairs_ranked_rightly": _pairs(videos, scores, people),
        "auc_by_method": {
            m: _with_interval(auc, *(a[(labels == 0) | (methods == m)] for a in (scores, labels, people)))
            for m in np.unique(methods[labels == 1])
        },
    }
    if not kept.all():
        figures["without"] = {
            "files": int(kept.sum()),
            "auc": _with_interval(auc, scores[kept], labels[kept], people[kept]),
        }
    return figures


def gain(videos, scores, baseline, aside=()):
    """Return what scores gain over a baseline's on the same files, by a paired bootstrap over people.

    Args:
        videos: list of `LabelledVideo`.
        scores: float `[N]`.
        baseline: float `[N]`.
        aside: as for `ranking_figures`.

    Returns:
        dict: `auc`, `auc_without` and `pairs_ranked_rightly`: differences, `value` and `interval` each.
    """
    both = np.stack([scores, baseline], axis=1).astype(float)
    labels, people, methods = _columns(videos)
    kept = ~np.isin(methods, list(aside))

    def difference(pair, truth):
        return auc(pair[:, 0], truth) - auc(pair[:, 1], truth)

    return {
        "auc": _with_interval(difference, both, labels, people),
        "auc_without": _with_interval(difference, both[kept], labels[kept], people[kept]),
        "pairs_ranked_rightly": _pairs(videos, both, people),
    }


def risk_coverage(probabilities, labels, threshold):
    """Return what would be wrong if only the surest verdicts were given.

    A file is the surer, the further the logit of its probability lies from that of the threshold.

    Args:
        probabilities: float `[N]` in (0, 1).
        labels: `[N]`, 1 fake, 0 real.
        threshold: above it a file reads fake.

    Returns:
        (coverage, risk): float `[N]` each: with the surest k of N files judged, k / N and the share of wrong
        verdicts among those k.
    """
    probabilities, labels = np.asarray(probabilities, float), np.asarray(labels)
    distance = np.abs(_logit(probabilities) - _logit(threshold))
    order = np.argsort(-distance, kind="stable")
    wrong = ((probabilities > threshold) != (labels == 1))[order]
    judged = np.arange(1, len(order) + 1)
    return judged / len(order), np.cumsum(wrong) / judged


def _is_original_of(original, fake):
    if original.label == 1 or len(original.identities) != 1:
        return False
    # A fake's first name is the one whose video it was; Celeb-DF numbers a person's takes in four digits.
    target = fake.path.stem.split("_")[0]
    same_take = _TAKE.findall(original.path.stem) == _TAKE.findall(fake.path.stem)
    return target in original.identities and same_take


def _columns(videos):
    labels = np.asarray([v.label for v in videos])
    return labels, np.asarray(identity_groups(videos)), np.asarray([v.method for v in videos])


def _with_interval(statistic, scores, labels, people):
    interval = bootstrap_interval(statistic, scores, labels, people)
    return {"value": float(statistic(scores, labels)), "interval": list(interval)}


def _pairs(videos, scores, people):
    """Return the share of pairs ranked rightly, or of two columns of scores its difference; None without."""
    pairs = own_originals(videos)
    if not pairs:
        return None
    fakes, originals = np.asarray(pairs).T
    wins = (scores[fakes] > scores[originals]).astype(float)
    groups = people[fakes]
    members = [np.flatnonzero(groups == g) for g in np.unique(groups)]
    rng = np.random.default_rng(0)
    draws = [
        _share(wins[np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])])
        for _ in range(2000)
    ]
    return {
        "value": float(_share(wins)),
        "interval": [float(q) for q in np.quantile(draws, (0.025, 0.975))],
        "pairs": len(pairs),
    }


def _share(wins):
    mean = wins.mean(axis=0)
    return mean if mean.ndim == 0 else mean[0] - mean[1]


def _logit(p):
    clipped = np.clip(p, 1e-9, 1 - 1e-9)
    return np.log(clipped) - np.log1p(-clipped)
