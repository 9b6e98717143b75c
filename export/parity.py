"""Parity: a bundle against the Keras models it came from, stage by stage, on real face clips.

The stages are crop (against a NumPy definition), flow, classifier (from one and the same flow) and all in a
row. Both sides are given the same crops, what ``crop.onnx`` cuts: faces are found and followed once, by a
``faces.onnx`` and a ``cuts.onnx`` that are not judged. ``crop.onnx`` is judged on those crops and on one
synthetic frame that is not square.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass

import numpy as np

from flowtell import Bundle, Detector, InputError
from flowtell.export.calibration import session_of
from flowtell.export.crop_reference import odd_frame, reference_boxes, reference_crop
from flowtell.export.gate_clips import GateClip
from flowtell.export.limits import LIMITS, STAGES, Limit
from flowtell.export.trained_models import TrainedModels

__all__ = [
    "Comparison",
    "Figures",
    "Judged",
    "Side",
    "WorstPair",
    "beyond_limits",
    "compare",
    "first_stage_beyond",
    "graph_side",
    "keras_side",
]

_OUTPUTS = ("pair_logits", "clip_logit", "flow")


@dataclass(frozen=True)
class Figures:
    """How far bundle and Keras lie apart over a number of face clips.

    Differences are absolute; logits have the calibration temperature applied. Near 0 and 1 probabilities hide
    differences that logits show.

    Attributes:
        crop_levels: largest difference of a crop to its definition, in levels.
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
        clip_logit: largest difference of a clip's logit, end to end.
        verdict_flips: clips on different sides of the bundle's first threshold.
        clips: face clips compared.
        pairs: frame pairs compared.
    """

    crop_levels: int
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
    clip_logit: float
    verdict_flips: int
    clips: int
    pairs: int


@dataclass(frozen=True, eq=False)
class WorstPair:
    """The frame pair on which the flows lie furthest apart, by their mean end-point difference.

    Attributes:
        clip: the clip it is in.
        pair: its number in the clip, from 0.
        mean_epe_px: the difference, in px of the crop.
        keras_flow: ``float32 [S/4, S/4, 2]``.
        bundle_flow: the same.
    """

    clip: GateClip
    pair: int
    mean_epe_px: float
    keras_flow: np.ndarray
    bundle_flow: np.ndarray


@dataclass(frozen=True, eq=False)
class Comparison:
    """The figures, and where they come from: the worst pair for the flow, the worst clip for the verdict."""

    figures: Figures
    worst_flow: WorstPair
    worst_clip: GateClip
    worst_clip_logit: float


@dataclass(frozen=True, eq=False)
class Judged:
    """What one side says of a clip of n pairs: logits ``float32 [n]``, the clip's, flow ``[n, h, w, 2]``."""

    pair_logits: np.ndarray
    clip_logit: float
    flow: np.ndarray


Side = Callable[[np.ndarray], Judged]


def compare(
    models: TrainedModels,
    bundle: Bundle,
    clips: Iterable[GateClip],
    precision: str = "fp32",
    side: Side | None = None,
    wanted: Side | None = None,
) -> Comparison:
    """Run both over face clips and measure how far they lie apart.

    Args:
        models: the Keras side.
        bundle: the other side, on ONNX Runtime's CPU provider.
        clips: what both judge.
        precision: which of the bundle's detectors.
        side: judges ``uint8 [n + 1, S, S, 3]`` in the place of the bundle's detector; see `graph_side`.
        wanted: judges them in the place of ``models.detector()``; see `keras_side`, which remembers.

    Raises:
        InputError: there is no clip, or the two sides differ in crop size or flow encoding.
    """
    _require_alike(models, bundle)
    ours = side or _engine_side(bundle, precision)
    wanted = wanted or keras_side(models)
    threshold = bundle.manifest.thresholds[0].fake_probability
    crop = session_of(bundle.read_graph("crop"))
    epes: list[np.ndarray] = []
    found: dict[str, list[np.ndarray]] = {"bundle": [], "judged": [], "keras": []}
    drifts: list[tuple[float, GateClip]] = []
    worst: WorstPair | None = None
    flips = 0
    levels = _crop_levels(crop, odd_frame(), bundle.manifest.crop_size)
    for clip in clips:
        mine, theirs = ours(clip.frames), wanted(clip.frames)
        # float32 holds a distance to seven digits in half the memory: a percentile needs all of them at once.
        epe = np.linalg.norm(mine.flow - theirs.flow, axis=-1)
        epes.append(epe.ravel())
        means = epe.mean(axis=(1, 2))
        pair = int(np.argmax(np.nan_to_num(means, nan=np.inf)))
        if worst is None or not means[pair] <= worst.mean_epe_px:
            worst = WorstPair(clip, pair, float(means[pair]), theirs.flow[pair], mine.flow[pair])
        found["bundle"].append(mine.pair_logits)
        found["judged"].append(models.judge_flow(mine.flow, clip.frames))
        found["keras"].append(theirs.pair_logits)
        clip_logits = (mine.clip_logit, theirs.clip_logit)
        drifts.append((abs(clip_logits[0] - clip_logits[1]), clip))
        sides = [float(_sigmoid(logit)) > threshold for logit in clip_logits]
        flips += sides[0] != sides[1]
        levels = max(levels, _crop_levels(crop, clip.frames[0], bundle.manifest.crop_size))
    if worst is None:
        raise InputError("no face clip was found to compare on: give videos with faces of 64 px and more")
    epe = np.concatenate(epes)
    logits = {name: np.concatenate(values).astype(np.float64) for name, values in found.items()}
    drift, drifted = max(drifts, key=lambda item: np.nan_to_num(item[0], nan=np.inf))
    figures = Figures(
        levels,
        float(epe.max()),
        float(epe.mean(dtype=np.float64)),
        float(np.percentile(epe, 99)),
        *_score_differences(logits["judged"], logits["bundle"]),
        *_score_differences(logits["keras"], logits["bundle"]),
        clip_logit=drift,
        verdict_flips=flips,
        clips=len(epes),
        pairs=logits["bundle"].size,
    )
    return Comparison(figures, worst, drifted, drift)


def keras_side(models: TrainedModels) -> Side:
    """Return the Keras detector as a side; it judges the same array once and remembers."""
    detector = models.detector()
    known: dict[int, tuple[np.ndarray, Judged]] = {}  # the array is kept, so that its id stays its own

    def judge(frames: np.ndarray) -> Judged:
        if id(frames) not in known:
            outputs = {name: np.asarray(value) for name, value in detector(frames[None]).items()}
            judged = Judged(outputs["pair_logits"][0], float(outputs["clip_logit"][0]), outputs["flow"][0])
            known[id(frames)] = (frames, judged)
        return known[id(frames)][1]

    return judge


def graph_side(model) -> Side:
    """Return a side that runs a detector graph (an ``onnx.ModelProto``) which no bundle holds."""
    session = session_of(model)

    def judge(frames: np.ndarray) -> Judged:
        pair_logits, clip_logit, flow = session.run(list(_OUTPUTS), {"clips": frames[None]})
        return Judged(pair_logits[0], float(clip_logit[0]), flow[0])

    return judge


def _engine_side(bundle: Bundle, precision: str) -> Side:
    """Return the engine itself as a side: its session options are part of what is certified."""
    detector = Detector.open(bundle, provider="cpu", precision=precision)

    def judge(frames: np.ndarray) -> Judged:
        scores = detector.score_clips(frames[None])
        return Judged(scores.pair_logits[0], float(scores.clip_logits[0]), scores.flow[0])

    return judge


def beyond_limits(figures: Figures, limits: Mapping[str, Limit] = LIMITS["fp32"]) -> list[str]:
    """Return the names of the figures that exceed their limit; one that is not finite exceeds every limit."""
    values = asdict(figures)
    return [
        name
        for name, limit in limits.items()
        if not (math.isfinite(values[name]) and values[name] <= limit.value)
    ]


def first_stage_beyond(beyond: Iterable[str]) -> str | None:
    """Return the first stage with a figure among those that exceed their limit; None where there is none."""
    names = set(beyond)
    return next((stage for stage, figures in STAGES.items() if names & set(figures)), None)


def _crop_levels(crop, picture: np.ndarray, size: int) -> int:
    """Return how far ``crop.onnx`` lies from its definition on a picture, in levels."""
    worst = 0
    for box in reference_boxes(*picture.shape[:2]):
        (cut,) = crop.run(["crop"], {"frame": picture, "box": np.array(box, np.int64)})
        worst = max(worst, int(np.abs(cut.astype(int) - reference_crop(picture, box, size)).max()))
    return worst


def _score_differences(logits: np.ndarray, others: np.ndarray) -> tuple[float, float, float, float]:
    """Return the largest and the mean difference in probability, then in logits."""
    probability = np.abs(_sigmoid(logits) - _sigmoid(others))
    logit = np.abs(logits - others)
    return float(probability.max()), float(probability.mean()), float(logit.max()), float(logit.mean())


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
