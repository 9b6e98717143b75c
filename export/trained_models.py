"""The Keras models inside an exported graph: settings in its metadata, weights as it widens them."""

from __future__ import annotations

import json

import onnx

from flowtell import InputError
from flowtell.export.storage import stored_weights
from flowtell.training.models import JoinSettings, TrainedModels, weight_variables

__all__ = ["MODEL_KEY", "JoinSettings", "TrainedModels", "models_from_graph", "weight_variables"]

# metadata_props key of the settings that rebuild the Keras models: JSON, see `TrainedModels.to_dict`.
MODEL_KEY = "flowtell.model"


def models_from_graph(model: onnx.ModelProto) -> TrainedModels:
    """Rebuild the models from ``detector.onnx``, weights widened exactly as the graph widens them.

    Raises:
        InputError: the graph was not written by this package, or its weights do not fit its settings.
        AttributeError, KeyError, TypeError, ValueError: its settings are malformed.
    """
    found = [prop.value for prop in model.metadata_props if prop.key == MODEL_KEY]
    if not found:
        raise InputError(
            "the graph does not hold its models' settings: it was not written by flowtell.export"
        )
    models = TrainedModels.from_dict(json.loads(found[0]))
    models.assign(stored_weights(model))
    return models
