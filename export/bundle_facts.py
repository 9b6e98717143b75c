"""What a manifest says beside the graphs."""

from __future__ import annotations

from dataclasses import dataclass, field

from flowtell._manifest import LeastEvidence
from flowtell.export.capture import DEFAULT_FACE_SCORE_THRESHOLD

__all__ = ["BundleFacts", "LeastEvidence", "OperatingPoint", "TrainingSource"]


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold on ``fake_probability``, above which a video reads *fake*, and what it stands for."""

    fake_probability: float
    operating_point: str


@dataclass(frozen=True)
class TrainingSource:
    """A data set that the model was trained on, and the terms it came under."""

    name: str
    terms: str


@dataclass(frozen=True)
class BundleFacts:
    """Everything in a manifest that no graph tells.

    Attributes:
        name: of the bundle.
        licence: one line, shown with every result.
        pairs_per_clip: T, frame pairs in a full face clip.
        crop_margin: side of the crop over the longer side of the face.
        face_score_threshold: lowest score at which ``faces.onnx`` gives a face out.
        thresholds: the first is the one that verdicts use; none where the bundle has no detector.
        training_data: what the models were trained on.
        certificates: figures of the gates that the bundle passed; free JSON objects.
        least_evidence: what a video must show for a verdict; by default nothing beyond the engine's limits.
    """

    name: str
    licence: str
    pairs_per_clip: int = 16
    crop_margin: float = 1.3
    face_score_threshold: float = DEFAULT_FACE_SCORE_THRESHOLD
    thresholds: tuple[OperatingPoint, ...] = ()
    training_data: tuple[TrainingSource, ...] = ()
    certificates: tuple[dict[str, object], ...] = field(default=())
    least_evidence: LeastEvidence = field(default_factory=LeastEvidence)
