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


def detector_figures(videos, clip_logits, folds):
    """Return how well held-out clip logits tell fake videos from real ones.

    A video's score is the mean over its clips of the calibrated probability. The probabilities of one fold
    are calibrated by the temperature of the others, so that no figure is fitted to what it is measured on.

    Args:
        videos: list of `LabelledVideo`.
        clip_logits: video number to the logits of its clips, from classifiers that never saw a person in it.
        folds: the fold of each video.

    Returns:
        dict: `videos`, `auc` with `auc_interval` (95 %, people resampled), `auc_without` (by source of real
        videos, where others remain), `auc_by_method` (of fakes), `equal_error_rate`, `accuracy` at 0.5,
        `calibration_error` with and without calibration, `pairs_ranked_rightly` (share of fakes that score
        above their own original; None without such pairs), `temperature` (of all folds, for use on other
        videos), `scores`.
    """
    judged = np.asarray(sorted(clip_logits))
    truth = np.asarray([videos[i].label for i in judged])
    methods = np.asarray([videos[i].method for i in judged])
    fold = np.asarray(folds)[judged]
    scores, raw = np.zeros(len(judged)), np.zeros(len(judged))
    for k in np.unique(fold):
        temperature = _temperature(judged[fold != k], truth[fold != k], clip_logits)
        for row in np.flatnonzero(fold == k):
            logits = np.asarray(clip_logits[judged[row]])
            scores[row], raw[row] = (np.mean(1 / (1 + np.exp(-logits / t))) for t in (temperature, 1.0))
    people = np.asarray(identity_groups(videos))[judged]
    sources = np.unique(methods[truth == 0])
    return {
        "videos": len(judged),
        "auc": auc(scores, truth),
        "auc_interval": auc_interval(scores, truth, people),
        "auc_without": {
            m: auc(scores[methods != m], truth[methods != m]) for m in sources if len(sources) > 1
        },
        "auc_by_method": {
            m: auc(scores[(truth == 0) | (methods == m)], truth[(truth == 0) | (methods == m)])
            for m in np.unique(methods[truth == 1])
        },
        "equal_error_rate": equal_error_rate(scores, truth),
        "accuracy": float(np.mean((scores > 0.5) == truth)),
        "calibration_error": expected_calibration_error(scores, truth),
        "calibration_error_before": expected_calibration_error(raw, truth),
        "pairs_ranked_rightly": _pairs_ranked_rightly([videos[i] for i in judged], scores),
        "temperature": _temperature(judged, truth, clip_logits),
        "scores": [
            {
                "file": videos[i].path.name,
                "method": videos[i].method,
                "label": videos[i].label,
                "score": float(s),
            }
            for i, s in zip(judged, scores, strict=True)
        ],
    }


def _temperature(judged, truth, clip_logits):
    """Fit the temperature to clips, each with the label of its video; 1 where one class is missing."""
    if len(np.unique(truth)) < 2:
        return 1.0
    counts = [len(clip_logits[i]) for i in judged]
    return fit_temperature(np.concatenate([clip_logits[i] for i in judged]), np.repeat(truth, counts))


def _pairs_ranked_rightly(videos, scores):
    """Return the share of (fake, its own original) pairs in which the fake scores higher."""
    wins = [
        scores[f] > scores[o]
        for f, fake in enumerate(videos)
        for o, original in enumerate(videos)
        if fake.label == 1 and _is_original_of(original, fake)
    ]
    return float(np.mean(wins)) if wins else None


def _is_original_of(original, fake):
    """Tell whether a fake was made from a real video, by FaceForensics++'s and Celeb-DF's names."""
    if original.label == 1 or len(original.identities) != 1:
        return False
    # A fake's first name is the one whose video it was; Celeb-DF numbers a person's takes in four digits.
    target = fake.path.stem.split("_")[0]
    same_take = _TAKE.findall(original.path.stem) == _TAKE.findall(fake.path.stem)
    return target in original.identities and same_take
