"""How good a detector is on a prepared set: by pair, clip and file, with what the sample can support."""

from dataclasses import dataclass

import numpy as np

import flowtell
from flowtell import InputError
from flowtell._verdict import deciding_tracks
from flowtell.training.labels import LabelledVideo, identity_groups
from flowtell.training.metrics import (
    auc,
    bootstrap_interval,
    equal_error_rate,
    equal_error_threshold,
    expected_calibration_error,
    fit_temperature,
    rate_upper_bound,
    reliability,
    roc_curve,
    sigmoid,
    threshold_at_rate,
)
from flowtell.training.models import TrainedModels

__all__ = ["JudgedVideo", "bundle_scorer", "detector_report", "judge_set", "keras_scorer", "operating_points"]

FALSE_POSITIVE_RATES = (0.1, 0.01, 0.001)


@dataclass(frozen=True)
class JudgedVideo:
    """What a detector said about the clips of one video.

    Attributes:
        video: the `LabelledVideo`.
        clip_logits: float `[N]`, temperature applied.
        pair_logits: float `[N, T]`, the same.
        tracks: int `[N]`, the face that each clip is of.
    """

    video: LabelledVideo
    clip_logits: np.ndarray
    pair_logits: np.ndarray
    tracks: np.ndarray


def bundle_scorer(bundle):
    """Return a function of clips uint8 `[N, T+1, S, S, 3]` to (clip logits, pair logits), run by the engine.

    Raises:
        flowtell.FlowtellError: the bundle cannot be opened.
    """
    detector = flowtell.Detector.open(bundle, provider="cpu")

    def score(clips):
        scores = detector.score_clips(clips)
        return scores.clip_logits, scores.pair_logits

    return score


def keras_scorer(models: TrainedModels):
    """Return the same function as `bundle_scorer`, run by Keras, a clip a batch.

    It raises InputError, as the engine does, for clips of another size than the models are of: the fused
    model would cut their rows anew and judge stripes.
    """
    detector, side = models.detector(), models.settings.crop_size

    def score(clips):
        if clips.shape[2:] != (side, side, 3):
            raise InputError(f"clips must be [N, T + 1, {side}, {side}, 3], not {list(clips.shape)}")
        found = [detector.predict_on_batch(clip[None]) for clip in clips]
        return tuple(np.concatenate([f[name] for f in found]) for name in ("clip_logit", "pair_logits"))

    return score


def judge_set(prepared, positions, score, progress=None):
    """Judge videos of a prepared set.

    Args:
        prepared: a `PreparedSet`.
        positions: in its videos.
        score: from `bundle_scorer` or `keras_scorer`.
        progress: called with the number of videos judged.

    Returns:
        list of `JudgedVideo`.

    Raises:
        InputError: the crops have another size than the detector takes, or cannot be read.
    """
    judged = []
    for number, position in enumerate(positions, start=1):
        clip_logits, pair_logits = score(prepared.clips(position))
        tracks = np.asarray([clip["track"] for clip in prepared.entry(position)["clips"]])
        judged.append(JudgedVideo(prepared.videos[position], clip_logits, pair_logits, tracks))
        if progress is not None:
            progress(number)
    return judged


def detector_report(judged, threshold=0.5, draws=1000, temperature=1.0):
    """Return every figure of a detector, as JSON can hold it.

    A file's probability is the engine's: the mean over a face's clips, and the highest of the faces that
    decide. A prepared set holds full clips of faces in the foreground alone, so every face in it decides;
    in the engine one that is mostly in the background does not.

    Intervals hold 95 % of a bootstrap that draws groups of people: files of one person are not independent.
    They are None where one group has all fakes or all reals.

    Args:
        judged: list of `JudgedVideo` of both classes.
        threshold: a file's probability above it reads fake.
        draws: of the bootstrap.
        temperature: that the detector divides its logits by.

    Returns:
        dict: `pair`, `clip` and `file` (each with `count`, and `auc`, `equal_error_rate`, `accuracy`,
        `calibration_error`, each with `value` and `interval`), `by_method` and `by_compression` (AUC over
        files, None where one class is missing), `confusion`, `roc` and `reliability` of files, `manifest`
        (`temperature` and the `thresholds` under it, as a manifest should hold them), `files`.

    Raises:
        InputError: only one class is there.
    """
    labels = np.asarray([j.video.label for j in judged])
    if set(labels.tolist()) != {0, 1}:
        raise InputError("an evaluation needs both real and fake videos")
    people = np.asarray(identity_groups([j.video for j in judged]))
    scores = np.asarray([_file_probability(j) for j in judged])
    thresholds, alarms, hits = roc_curve(scores, labels)
    # found on logits that the detector's own temperature has divided already
    factor, points = operating_points(judged, temperature)
    return {
        "threshold": threshold,
        "pair": _level([j.pair_logits.ravel() for j in judged], labels, people, threshold, draws),
        "clip": _level([j.clip_logits for j in judged], labels, people, threshold, draws),
        "file": _figures(scores, labels, people, threshold, draws),
        "by_method": {
            method: _auc_of(scores, labels, (labels == 0) | _is(judged, "method", method))
            for method in sorted({j.video.method for j in judged if j.video.label})
        },
        "by_compression": {
            name or "not stated": _auc_of(scores, labels, _is(judged, "compression", name))
            for name in sorted({j.video.compression for j in judged})
        },
        "confusion": {
            f"{truth} called {said}": int(np.sum((labels == label) & ((scores > threshold) == is_fake)))
            for label, truth in enumerate(("real", "fake"))
            for is_fake, said in ((False, "original"), (True, "fake"))
        },
        "roc": {
            "threshold": [None if np.isinf(t) else float(t) for t in thresholds],
            "false_positive_rate": alarms.tolist(),
            "true_positive_rate": hits.tolist(),
        },
        "reliability": reliability(scores, labels),
        "manifest": {"temperature": temperature * factor, "thresholds": points},
        "files": [
            {
                "file": j.video.path.as_posix(),
                "label": j.video.label,
                "method": j.video.method,
                "clips": len(j.clip_logits),
                "fake_probability": float(score),
            }
            for j, score in zip(judged, scores, strict=True)
        ],
    }


def operating_points(judged, before=1.0):
    """Return the temperature that calibrates clips, and thresholds on files under it, ready for a manifest.

    Args:
        judged: list of `JudgedVideo` of both classes.
        before: the temperature that their logits have been divided by: see `fit_temperature`.

    Returns:
        (temperature to divide these logits by, list of `{"fake_probability", "operating_point"}`): first the
        point of equal errors, then false-positive rates of 10 %, 1 % and 0.1 %, each with what so many
        originals can tell about it.
    """
    labels = np.asarray([j.video.label for j in judged])
    clips = np.concatenate([j.clip_logits for j in judged])
    temperature = fit_temperature(clips, np.repeat(labels, [len(j.clip_logits) for j in judged]), before)
    scores = np.asarray([_file_probability(j, temperature) for j in judged])
    threshold = max(0.0, equal_error_threshold(scores, labels))
    points = [_point(threshold, "equal error rate", scores, labels)]
    real = scores[labels == 0]
    for rate in FALSE_POSITIVE_RATES:
        point = _point(threshold_at_rate(real, rate), f"false-positive rate {100 * rate:g} %", scores, labels)
        needed = int(np.ceil(np.log(0.05) / np.log(1 - rate)))
        if len(real) < needed:
            bound = 100 * rate_upper_bound(0, len(real))
            point["operating_point"] += (
                f"; not supported: {len(real)} originals without an error show a rate below {bound:.2g} %, "
                f"{needed} would be needed"
            )
        points.append(point)
    return temperature, points


def _point(threshold, name, scores, labels):
    real, fake = scores[labels == 0], scores[labels == 1]
    wrong = int(np.sum(real > threshold))
    bound = 100 * rate_upper_bound(wrong, len(real))
    return {
        "fake_probability": min(max(threshold, 0.0), 1.0),
        "operating_point": (
            f"{name}: {wrong} of {len(real)} originals above it (95 % sure of at most {bound:.2g} %), "
            f"{int(np.sum(fake > threshold))} of {len(fake)} fakes"
        ),
    }


def _file_probability(judged, temperature=1.0):
    probabilities = sigmoid(judged.clip_logits / temperature)
    pairs = judged.pair_logits.shape[1]
    deciding = deciding_tracks(((track, False, pairs) for track in judged.tracks.tolist()), pairs)
    return max(float(np.mean(probabilities[judged.tracks == track])) for track in deciding)


def _level(logits, labels, people, threshold, draws):
    counts = [len(values) for values in logits]
    scores = sigmoid(np.concatenate(logits))
    return _figures(scores, np.repeat(labels, counts), np.repeat(people, counts), threshold, draws)


def _figures(scores, labels, people, threshold, draws):
    statistics = {
        "auc": auc,
        "equal_error_rate": equal_error_rate,
        "accuracy": lambda s, y: float(np.mean((s > threshold) == y)),
        "calibration_error": expected_calibration_error,
    }
    figures = {"count": len(scores)}
    for name, statistic in statistics.items():
        low, high = bootstrap_interval(statistic, scores, labels, people, draws=draws)
        interval = None if low is None else [low, high]
        figures[name] = {"value": statistic(scores, labels), "interval": interval}
    return figures


def _is(judged, name, value):
    return np.asarray([getattr(j.video, name) == value for j in judged])


def _auc_of(scores, labels, rows):
    both = set(labels[rows].tolist()) == {0, 1}
    return {"files": int(rows.sum()), "auc": auc(scores[rows], labels[rows]) if both else None}
