"""The two trained Keras models and the settings that join them: what every export starts from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np
import onnx

from flowtell import InputError
from flowtell.export.storage import stored_weights
from flowtell.training.models import (
    ClassifierConfig,
    FlowClassifier,
    FlowDetector,
    FlowImage,
    FlowNetworkConfig,
    PWCNet,
    build_classifier,
    build_detector,
    build_flow_network,
)

__all__ = ["MODEL_KEY", "JoinSettings", "TrainedModels"]

# metadata_props key of the settings that rebuild the Keras models: JSON, see `TrainedModels.to_dict`.
MODEL_KEY = "flowtell.model"


@dataclass(frozen=True)
class JoinSettings:
    """How flow network and classifier are joined.

    Attributes:
        flow_encoding: ``colour_wheel`` or ``uv``.
        crop_size: S, side of a crop in px, a multiple of 64.
        temperature: calibration temperature that logits are divided by.
    """

    flow_encoding: str
    crop_size: int
    temperature: float = 1.0


@dataclass(frozen=True)
class TrainedModels:
    """A flow network and a classifier, ``channels_last``, float32, with the settings that join them."""

    network: PWCNet
    classifier: FlowClassifier
    settings: JoinSettings

    @classmethod
    def build(
        cls, flow: FlowNetworkConfig | str, classifier: ClassifierConfig, settings: JoinSettings
    ) -> TrainedModels:
        """Build both models with fresh weights.

        Args:
            flow: settings of the network, or the name of a preset.
            classifier: settings of the classifier.
            settings: how they are joined.
        """
        return cls(build_flow_network(flow), build_classifier(classifier), settings)

    @classmethod
    def from_graph(cls, model: onnx.ModelProto) -> TrainedModels:
        """Rebuild the models from ``detector.onnx``, weights widened exactly as the graph widens them.

        Raises:
            InputError: the graph was not written by this package, or its weights do not fit its settings.
        """
        found = [prop.value for prop in model.metadata_props if prop.key == MODEL_KEY]
        if not found:
            raise InputError(
                "the graph does not hold its models' settings: it was not written by flowtell.export"
            )
        described = json.loads(found[0])
        models = cls.build(
            FlowNetworkConfig.from_dict(described["flow"]),
            ClassifierConfig.from_dict(described["classifier"]),
            JoinSettings(**described["settings"]),
        )
        models.assign(stored_weights(model))
        return models

    def to_dict(self) -> dict[str, object]:
        """Return what rebuilds the models, but for their weights, as JSON can hold it."""
        return {
            "flow": self.network.config.to_dict(),
            "classifier": self.classifier.config.to_dict(),
            "settings": {
                "flow_encoding": self.settings.flow_encoding,
                "crop_size": self.settings.crop_size,
                "temperature": self.settings.temperature,
            },
        }

    def weights(self) -> dict[str, np.ndarray]:
        """Return every weight, Keras path to ``float32`` array."""
        return {variable.path: np.asarray(variable) for variable in self.variables()}

    def variables(self) -> list[keras.Variable]:
        """Return the variables that hold weights (a dropout's random seed is none)."""
        return weight_variables(self.network, self.classifier)

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

    def judge_flow(self, flow: np.ndarray) -> np.ndarray:
        """Return the logits ``float32 [N]`` of pairs, temperature applied, from their flow.

        Args:
            flow: ``float32 [N, S/4, S/4, 2]`` in px of the crop.
        """
        image = FlowImage(self.settings.flow_encoding)
        return np.asarray(self.classifier(image(flow))) * np.float32(1.0 / self.settings.temperature)

    def detector(self) -> FlowDetector:
        """Return the fused Keras model; it shares its weights with these two."""
        return build_detector(
            self.network,
            self.classifier,
            self.settings.flow_encoding,
            self.settings.crop_size,
            self.settings.temperature,
        )


def weight_variables(*models: keras.Model) -> list[keras.Variable]:
    """Return the variables of models that hold weights: all but the state of random generators."""
    return [v for model in models for v in model.variables if v.dtype == "float32"]
