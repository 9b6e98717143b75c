"""The trained Keras models and the settings that join them: what every export and evaluation starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import keras
import numpy as np

from flowtell import InputError
from flowtell.training.models.classifier import ClassifierConfig, FlowClassifier, build_classifier
from flowtell.training.models.clip_lstm import ClipHeadConfig, ClipLSTM, build_clip_head
from flowtell.training.models.detector import FlowDetector, build_detector
from flowtell.training.models.flow_image import FlowImage
from flowtell.training.models.pwcnet import FlowNetworkConfig, PWCNet, build_flow_network
from flowtell.training.models.residual import seen_motion

__all__ = ["JoinSettings", "TrainedModels", "weight_variables"]


@dataclass(frozen=True)
class JoinSettings:
    """How flow network and classifier are joined.

    Attributes:
        flow_encoding: ``colour_wheel``, ``uv`` or ``uv_residual``.
        crop_size: S, side of a crop in px, a multiple of 64.
        temperature: calibration temperature that logits are divided by.
    """

    flow_encoding: str
    crop_size: int
    temperature: float = 1.0


@dataclass(frozen=True)
class TrainedModels:
    """A flow network, a classifier and maybe a temporal head, with the settings that join them.

    All are ``channels_last`` and float32. ``clip_head`` is None where a clip's logit is the mean of its
    pairs'.
    """

    network: PWCNet
    classifier: FlowClassifier
    settings: JoinSettings
    clip_head: ClipLSTM | None = None

    @classmethod
    def build(
        cls,
        flow: FlowNetworkConfig | str,
        classifier: ClassifierConfig,
        settings: JoinSettings,
        clip_head: ClipHeadConfig | None = None,
    ) -> TrainedModels:
        """Build the models with fresh weights.

        Args:
            flow: settings of the network, or the name of a preset.
            classifier: settings of the classifier.
            settings: how they are joined.
            clip_head: settings of the temporal head; None for none.
        """
        judge = build_classifier(classifier)
        head = None if clip_head is None else build_clip_head(clip_head, judge.hidden_width)
        return cls(build_flow_network(flow), judge, settings, head)

    @classmethod
    def from_dict(cls, values: Mapping[str, dict]) -> TrainedModels:
        """Build the models that `to_dict` describes, with fresh weights.

        Raises:
            AttributeError, KeyError, TypeError, ValueError: the description is malformed.
        """
        head = values.get("clip_head")
        return cls.build(
            FlowNetworkConfig.from_dict(values["flow"]),
            ClassifierConfig.from_dict(values["classifier"]),
            JoinSettings(**values["settings"]),
            None if head is None else ClipHeadConfig.from_dict(head),
        )

    def to_dict(self) -> dict[str, object]:
        """Return what rebuilds the models, but for their weights, as JSON can hold it."""
        head = {} if self.clip_head is None else {"clip_head": self.clip_head.config.to_dict()}
        return {
            "flow": self.network.config.to_dict(),
            "classifier": self.classifier.config.to_dict(),
            "settings": asdict(self.settings),
            **head,
        }

    def weights(self) -> dict[str, np.ndarray]:
        """Return every weight, Keras path to ``float32`` array."""
        return {variable.path: np.asarray(variable) for variable in self.variables()}

    def variables(self) -> list[keras.Variable]:
        """Return the variables that hold weights (a dropout's random seed is none)."""
        heads = [] if self.clip_head is None else [self.clip_head]
        return weight_variables(self.network, self.classifier, *heads)

    def assign(self, weights: Mapping[str, np.ndarray]) -> None:
        """Set every weight.

        Raises:
            InputError: a weight is missing or has another shape.
        """
        for variable in self.variables():
            value = weights.get(variable.path)
            if value is None or value.shape != tuple(variable.shape):
                found = "nothing" if value is None else f"shape {value.shape}"
                raise InputError(
                    f"the weight {variable.path} wants shape {tuple(variable.shape)}, not {found}"
                )
            variable.assign(value)

    def judge_flow(self, flow: np.ndarray, clip: np.ndarray) -> np.ndarray:
        """Return the logits ``float32 [N]`` of a clip's pairs, temperature applied, from their flow.

        Args:
            flow: ``float32 [N, S/4, S/4, 2]`` in px of the crop.
            clip: ``uint8 [N + 1, S, S, 3]`` RGB, of which the flow is.
        """
        encoding = self.settings.flow_encoding
        motion = seen_motion(encoding, flow, clip[:-1], clip[1:])
        logits = self.classifier(FlowImage(encoding)(motion))
        return np.asarray(logits) * np.float32(1.0 / self.settings.temperature)

    def detector(self) -> FlowDetector:
        """Return the fused Keras model; it shares its weights with these."""
        return build_detector(
            self.network,
            self.classifier,
            self.settings.flow_encoding,
            self.settings.crop_size,
            self.settings.temperature,
            self.clip_head,
        )


def weight_variables(*models: keras.Model) -> list[keras.Variable]:
    """Return the variables of models that hold weights: all but the state of random generators."""
    return [v for model in models for v in model.variables if v.dtype == "float32"]
