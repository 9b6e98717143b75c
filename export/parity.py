"""Parity: a bundle against the Keras models it came from, stage by stage, on real face clips.

The stages are flow, classifier (from one and the same flow) and the two in a row. Keras has no part in
cropping faces: both sides are given what ``crop.onnx`` cuts, so a difference in levels is no figure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from flowtell import Bundle, Detector, InputError, iter_face_clips
from flowtell.export.limits import FP32_LIMITS, Limit
from flowtell.export.trained_models import TrainedModels

__all__ = ["Figures", "beyond_limits", "clips_of_files", "compare"]

VIDEO_SUFFIXES = (".avi", ".mkv", ".mov", ".mp4", ".webm")


@dataclass(frozen=True)
class Figures:
    """How far bundle and Keras lie apart over a number of face clips.

    Differences are absolute; logits have the calibration temperature applied. Near 0 and 1 probabilities hide
    differences that logits show.

    Attributes:
        flow_max_epe: largest end-point difference of the flow, in px of the crop.
        flow_mean_epe: its mean over all pixels.
        flow_p99_epe: what 99 % of the pixels stay below or at.
        classifier_probability: largest difference in a pair's probability, both judging the bundle's flow.
        classifier_probability_mean: its mean over all pairs.
        classifier_logit: as ``classifier_probability``, in logits.
        classifier_logit_mean: its mean over all pairs.
        pair_probability: as ``classifier_probability``, end to end: each judging its own flow.
        pair_probability_mean: its mean over all pairs.
        pair_logit: as ``pair_probability``, in logits.
        pair_logit_mean: its mean over all pairs.
        verdict_flips: clips on different sides of the bundle's first threshold.
        clips: face clips compared.
        pairs: frame pairs compared.
    """

    flow_max_epe: float
    flow_mean_epe: float
    flow_p99_epe: float
    classifier_probability: float
    classifier_probability_mean: float
    classifier_logit: float
    classifier_logit_mean: float
    pair_probability: float
    pair_probability_mean: float
    pair_logit: float
    pair_logit_mean: float
    verdict_flips: int
    clips: int
    pairs: int


def compare(models: TrainedModels, bundle: Bundle, clips: Iterable[np.ndarray]) -> Figures:
    """Run both over face clips and measure how far they lie apart.

    Args:
        models: the Keras side.
        bundle: the other side, on ONNX Runtime's CPU provider.
        clips: each ``uint8 [n + 1, S, S, 3]`` RGB with n pairs.

    Raises:
        InputError: there is no clip, or the two sides differ in crop size or flow encoding.
    """
    _require_alike(models, bundle)
    onnx_side = Detector.open(bundle, provider="cpu")
    keras_side = models.detector()
    threshold = bundle.manifest.thresholds[0].fake_probability
    epes: list[np.ndarray] = []
    found: dict[str, list[np.ndarray]] = {"bundle": [], "judged": [], "keras": []}
    flips = 0
    for clip in clips:
        ours = onnx_side.score_clips(clip[None])
        theirs = {name: np.asarray(value) for name, value in keras_side(clip[None]).items()}
        # float32 holds a distance to seven digits in half the memory: a percentile needs all of them at once.
        epes.append(np.linalg.norm(ours.flow - theirs["flow"], axis=-1).ravel())
        found["bundle"].append(ours.pair_logits[0])
        found["judged"].append(models.judge_flow(ours.flow[0]))
        found["keras"].append(theirs["pair_logits"][0])
        sides = [
            float(_sigmoid(logits)[0]) > threshold for logits in (ours.clip_logits, theirs["clip_logit"])
        ]
        flips += sides[0] != sides[1]
    if not epes:
        raise InputError("no face clip was found to compare on: give videos with faces of 64 px and more")
    epe = np.concatenate(epes)
    logits = {name: np.concatenate(values).astype(np.float64) for name, values in found.items()}
    return Figures(
        float(epe.max()),
        float(epe.mean(dtype=np.float64)),
        float(np.percentile(epe, 99)),
        *_score_differences(logits["judged"], logits["bundle"]),
        *_score_differences(logits["keras"], logits["bundle"]),
        verdict_flips=flips,
        clips=len(epes),
        pairs=logits["bundle"].size,
    )


def _score_differences(logits: np.ndarray, others: np.ndarray) -> tuple[float, float, float, float]:
    """Return the largest and the mean difference in probability, then in logits."""
    probability = np.abs(_sigmoid(logits) - _sigmoid(others))
    logit = np.abs(logits - others)
    return float(probability.max()), float(probability.mean()), float(logit.max()), float(logit.mean())


def beyond_limits(figures: Figures, limits: Mapping[str, Limit] = FP32_LIMITS) -> list[str]:
    """Return the names of the figures that exceed their limit (not a number exceeds every limit)."""
    values = asdict(figures)
    return [name for name, limit in limits.items() if not values[name] <= limit.value]


def clips_of_files(
    paths: Iterable[Path], bundle: Bundle, clips_per_file: int, pairs: int
) -> Iterator[np.ndarray]:
    """Yield face clips of videos, cut as the engine cuts them.

    Args:
        paths: videos, and folders that are searched for videos.
        bundle: whose faces and crop graphs are used.
        clips_per_file: at most so many of each video, from its start.
        pairs: at most so many of each clip, from its start.

    Yields:
        ``uint8 [n + 1, S, S, 3]`` RGB, 1 <= n <= ``pairs``.

    Raises:
        InputError: there is no such file, or a folder without videos.
        flowtell.DecodeError: a video cannot be read.
    """
    for path in [video for given in paths for video in _videos(given)]:
        for number, clip in enumerate(iter_face_clips(path, bundle)):
            if number == clips_per_file:
                break
            yield clip.frames[: pairs + 1]


def _videos(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() in VIDEO_SUFFIXES)
    if not found:
        raise InputError(f"there is no video at '{path}'")
    return found


def _require_alike(models: TrainedModels, bundle: Bundle) -> None:
    settings, manifest = models.settings, bundle.manifest
    ours = (settings.crop_size, settings.flow_encoding)
    theirs = (manifest.crop_size, manifest.flow_encoding)
    if ours != theirs:
        raise InputError(
            f"the model works on {ours[0]} px and {ours[1]}, the bundle on {theirs[0]} px and {theirs[1]}: "
            "they do not belong together"
        )


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    # tanh does not overflow, whatever the logit
    return 0.5 * (1 + np.tanh(0.5 * np.asarray(logits, np.float64)))
