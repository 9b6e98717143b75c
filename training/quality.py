"""How good a detector is, over files, from logits of people it was not trained on."""

import re

import numpy as np

from flowtell.training.labels import identity_groups
from flowtell.training.metrics import (
    auc,
    auc_interval,
    equal_error_rate,
    expected_calibration_error,
    fit_temperature,
)

__all__ = ["detector_figures"]

_TAKE = re.compile(r"(?<=_)\d{4}(?=_|$)")


def detector_figures(videos, clip_logits):
    """Return how well held-out clip logits tell fake videos from real ones.

    A video's score is the mean over its clips of the calibrated probability.

    Args:
        videos: list of `LabelledVideo`.
        clip_logits: video number to the logits of its clips, from classifiers that never saw a person in it.

    Returns:
        dict: `videos`, `auc` with `auc_interval` (95 %, people resampled), `auc_without_actors`,
        `equal_error_rate`, `accuracy` at 0.5, `temperature` and `calibration_error` with and without it,
        `pairs_ranked_rightly` (share of fakes that score above their own original), `auc_by_method`,
        `scores`.
    """
    labels = np.asarray([v.label for v in videos])
    judged = sorted(clip_logits)
    truth = labels[judged]
    flat_logits = np.concatenate([clip_logits[i] for i in judged])
    flat_truth = np.concatenate([np.full(len(clip_logits[i]), labels[i]) for i in judged])
    temperature = fit_temperature(flat_logits, flat_truth)

    def file_scores(t):
        return np.asarray([np.mean(1 / (1 + np.exp(-np.asarray(clip_logits[i]) / t))) for i in judged])

    scores = file_scores(temperature)
    people = np.asarray(identity_groups(videos))[judged]
    without_actors = np.asarray(["actors" not in videos[i].method for i in judged])
    return {
        "videos": len(judged),
        "auc": auc(scores, truth),
        "auc_interval": auc_interval(scores, truth, people),
        "equal_error_rate": equal_error_rate(scores, truth),
        "accuracy": float(np.mean((scores > 0.5) == truth)),
        "calibration_error": expected_calibration_error(scores, truth),
        "calibration_error_before": expected_calibration_error(file_scores(1.0), truth),
        "temperature": temperature,
        "auc_without_actors": auc(scores[without_actors], truth[without_actors]),
        "pairs_ranked_rightly": _pairs_ranked_rightly(videos, judged, scores),
        "auc_by_method": _by_method(videos, judged, scores, truth),
        "scores": {videos[i].path.name: float(s) for i, s in zip(judged, scores, strict=True)},
    }


def _pairs_ranked_rightly(videos, judged, scores):
    """Share of (fake, its own original) pairs in which the fake scores higher; None without such pairs."""
    wins = []
    for i, score in zip(judged, scores, strict=True):
        if videos[i].label == 1:
            wins += [
                score > s
                for j, s in zip(judged, scores, strict=True)
                if _is_original_of(videos[j], videos[i])
            ]
    return float(np.mean(wins)) if wins else None


def _is_original_of(original, fake):
    """Tell whether a fake was made from a real video, by FaceForensics++'s and Celeb-DF's names."""
    if original.label == 1 or len(original.identities) != 1:
        return False
    # The first name in a fake's is the one whose video it is; Celeb-DF numbers each person's takes in four
    # digits.
    target = fake.path.stem.split("_")[0]
    same_take = _TAKE.findall(original.path.stem) == _TAKE.findall(fake.path.stem)
    return target in original.identities and same_take


def _by_method(videos, judged, scores, truth):
    real = scores[truth == 0]
    out = {}
    for method in sorted({videos[i].method for i in judged if videos[i].label == 1}):
        fake = np.asarray(
            [s for i, s in zip(judged, scores, strict=True) if videos[i].label and videos[i].method == method]
        )
        out[method] = auc(np.concatenate([real, fake]), np.repeat([0, 1], [len(real), len(fake)]))
    return out
