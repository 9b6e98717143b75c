"""Detectors beside each other on the same files: figures of plain scores, and what one gains over another."""

import re
from functools import partial

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
        scores: float `[N]`, higher is more fake; or `[N, K]`, of K draws of what one way to judge is shown of
            each file. Figures are then means over the draws.
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
        "auc": _with_interval(_mean_auc, scores, labels, people),
        "equal_error_rate": _with_interval(_over_draws(equal_error_rate), scores, labels, people),
        "pairs_ranked_rightly": _pairs(videos, people, partial(_wins, scores)),
        "auc_by_method": {
            m: _with_interval(
                _mean_auc, *(a[(labels == 0) | (methods == m)] for a in (scores, labels, people))
            )
            for m in np.unique(methods[labels == 1])
        },
    }
    if not kept.all():
        figures["without"] = {
            "files": int(kept.sum()),
            "auc": _with_interval(_mean_auc, scores[kept], labels[kept], people[kept]),
        }
    return figures


def gain(videos, scores, baseline, aside=()):
    """Return what scores gain over a baseline's on the same files, by a paired bootstrap over people.

    Args:
        videos: list of `LabelledVideo`.
        scores: float `[N]`.
        baseline: float `[N]`, or `[N, K]` of K draws: what is gained over the mean of their figures.
        aside: as for `ranking_figures`.

    Returns:
        dict: `auc`, `auc_without` and `pairs_ranked_rightly`: differences, `value` and `interval` each.
    """
    both = np.column_stack([scores, baseline]).astype(float)
    labels, people, methods = _columns(videos)
    kept = ~np.isin(methods, list(aside))

    def difference(columns, truth):
        return auc(columns[:, 0], truth) - _mean_auc(columns[:, 1:], truth)

    def more_wins(fakes, originals):
        own, others = (_wins(columns, fakes, originals) for columns in (both[:, 0], both[:, 1:]))
        return own - others

    return {
        "auc": _with_interval(difference, both, labels, people),
        "auc_without": _with_interval(difference, both[kept], labels[kept], people[kept]),
        "pairs_ranked_rightly": _pairs(videos, people, more_wins),
    }


def risk_coverage(probabilities, labels, threshold):
    """Return what would be wrong if only the surest verdicts were given.

    A file is the surer, the further the logit of its probability lies from that of the threshold.

    Args:
        probabilities: float `[N]` in (0, 1).
        labels: `[N]`, 1 fake, 0 real.
        threshold: above it a file reads fake; one for all, or float `[N]`.

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


def _over_draws(statistic):
    """Return the mean of a statistic of scores over their draws, function of `[N]` or `[N, K]` and labels."""

    def mean(scores, labels):
        draws = scores.reshape(len(scores), -1).T
        return float(np.mean([statistic(draw, labels) for draw in draws]))

    return mean


_mean_auc = _over_draws(auc)


def _wins(scores, fakes, originals):
    """Return in how many of the draws each fake scores above its original, as a share: float `[pairs]`."""
    above = scores[fakes] > scores[originals]
    return above.reshape(len(above), -1).mean(axis=1)


def _pairs(videos, people, wins_of):
    """Return the mean over pairs of what `wins_of` says of fakes and their originals; None without pairs."""
    pairs = own_originals(videos)
    if not pairs:
        return None
    fakes, originals = np.asarray(pairs).T
    wins = wins_of(fakes, originals)
    groups = people[fakes]
    members = [np.flatnonzero(groups == g) for g in np.unique(groups)]
    rng = np.random.default_rng(0)
    draws = [
        wins[np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])].mean()
        for _ in range(2000)
    ]
    return {
        "value": float(wins.mean()),
        "interval": [float(q) for q in np.quantile(draws, (0.025, 0.975))],
        "pairs": len(pairs),
    }


def _logit(p):
    clipped = np.clip(p, 1e-9, 1 - 1e-9)
    return np.log(clipped) - np.log1p(-clipped)
