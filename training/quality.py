"""How good a detector is, over files, from logits of people it was not trained on."""

import numpy as np

from flowtell.training.comparison import own_originals, ranking_figures, risk_coverage
from flowtell.training.metrics import (
    equal_error_threshold,
    expected_calibration_error,
    fit_temperature,
    sigmoid,
)

__all__ = ["detector_figures", "highest_face_figures"]


def detector_figures(videos, clip_logits, folds, aside=()):
    """Return how well held-out clip logits tell fake videos from real ones.

    A video's score is the mean over its clips of the calibrated probability. The probabilities of one fold
    are calibrated by the temperature of the others, so that no figure is fitted to what it is measured on;
    the same goes for the threshold that `accuracy` and `risk_coverage` are of.

    Args:
        videos: list of `LabelledVideo`.
        clip_logits: video number to the logits of its clips, from classifiers that never saw a person in it.
        folds: the fold of each video.
        aside: methods of real videos that some figures leave out.

    Returns:
        dict: what `ranking_figures` returns, `accuracy` at the threshold of equal errors of the other folds,
        `accuracy_by_method` of the same verdicts (over a method's fakes and the originals that they were made
        from: `value` and `files`), `calibration_error` with and without calibration, `risk_coverage` (of
        calibrated scores, a point a file), `temperature` and `threshold` (of all folds, for use on other
        videos), `scores`.
    """
    judged = np.asarray(sorted(clip_logits))
    kept = [videos[i] for i in judged]
    truth = np.asarray([v.label for v in kept])
    fold = np.asarray(folds)[judged]
    scores, raw, thresholds = (np.zeros(len(judged)) for _ in range(3))
    for rows, temperature, threshold in _points_by_fold(judged, truth, fold, clip_logits):
        for row in rows:
            logits = np.asarray(clip_logits[judged[row]])
            scores[row], raw[row] = _file_score(logits, temperature), _file_score(logits, 1.0)
        thresholds[rows] = threshold
    right = (scores > thresholds) == (truth == 1)
    coverage, risk = risk_coverage(scores, truth, thresholds)
    temperature, threshold = _operating_point(judged, truth, clip_logits)
    return ranking_figures(kept, scores, aside) | {
        "accuracy": float(np.mean(right)),
        "accuracy_by_method": _accuracy_by_method(kept, right),
        "calibration_error": expected_calibration_error(scores, truth),
        "calibration_error_before": expected_calibration_error(raw, truth),
        "risk_coverage": {"coverage": coverage.tolist(), "risk": risk.tolist()},
        "temperature": temperature,
        "threshold": threshold,
        "scores": [
            {"file": v.path.name, "method": v.method, "label": v.label, "score": float(s)}
            for v, s in zip(kept, scores, strict=True)
        ],
    }


def highest_face_figures(videos, clip_logits, tracks, folds, aside=()):
    """Return how well files are ranked as the engine scores them: by the highest of their deciding faces.

    Every clip of a prepared set is of a face that decides. A person who comes back after a cut is a new face,
    so that a file of many shots has more chances to look fake than one of a single shot.

    Args:
        videos: as in `detector_figures`.
        clip_logits: as in `detector_figures`.
        tracks: video number to the face that each of its clips is of.
        folds: as in `detector_figures`.
        aside: as in `detector_figures`.

    Returns:
        what `ranking_figures` returns, of scores whose temperature is that of the other folds.
    """
    judged = np.asarray(sorted(clip_logits))
    truth = np.asarray([videos[i].label for i in judged])
    fold = np.asarray(folds)[judged]
    scores = np.zeros(len(judged))
    for rows, temperature, _ in _points_by_fold(judged, truth, fold, clip_logits):
        for row in rows:
            logits, faces = np.asarray(clip_logits[judged[row]]), np.asarray(tracks[judged[row]])
            scores[row] = max(_file_score(logits[faces == face], temperature) for face in np.unique(faces))
    return ranking_figures([videos[i] for i in judged], scores, aside)


def _accuracy_by_method(videos, right):
    pairs, by_method = own_originals(videos), {}
    for method in sorted({videos[fake].method for fake, _ in pairs}):
        files = sorted({row for pair in pairs if videos[pair[0]].method == method for row in pair})
        by_method[method] = {"value": float(np.mean(right[files])), "files": len(files)}
    return by_method


def _points_by_fold(judged, truth, fold, clip_logits):
    """Yield the rows of each fold with the temperature and the threshold of the other folds."""
    for k in np.unique(fold):
        others = fold != k
        yield np.flatnonzero(~others), *_operating_point(judged[others], truth[others], clip_logits)


def _operating_point(judged, truth, clip_logits):
    """Return (temperature fitted to clips, threshold of equal errors of files); 1 and 0.5 for one class."""
    if len(np.unique(truth)) < 2:
        return 1.0, 0.5
    counts = [len(clip_logits[i]) for i in judged]
    temperature = fit_temperature(np.concatenate([clip_logits[i] for i in judged]), np.repeat(truth, counts))
    scores = [_file_score(np.asarray(clip_logits[i]), temperature) for i in judged]
    return temperature, max(0.0, equal_error_threshold(scores, truth))


def _file_score(logits, temperature):
    return float(np.mean(sigmoid(logits / temperature)))
