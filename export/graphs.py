"""The three graphs that come from Keras: ``detector.onnx``, ``flow.onnx``, ``classifier.onnx``."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper

from flowtell.export._structures import classifier_structure, detector_structure, flow_structure
from flowtell.export.storage import StorageChoice, bind_weights, compact_storage
from flowtell.export.trained_models import MODEL_KEY, TrainedModels, weight_variables
from flowtell.training.models import PWCNet

__all__ = ["classifier_graph", "detector_graph", "flow_graph", "flow_network_graph"]


def detector_graph(models: TrainedModels, storage: StorageChoice = compact_storage) -> onnx.ModelProto:
    """Return ``detector.onnx``: face clips to logits and flow.

    ``clips`` is ``uint8 [B, T+1, S, S, 3]``, RGB; ``pair_logits`` ``float32 [B, T]``, ``clip_logit``
    ``float32 [B]``, calibration temperature applied; ``flow`` ``float32 [B, T, S/4, S/4, 2]`` in px of the
    crop.

    Args:
        models: what to export.
        storage: how each weight is stored.
    """
    head = None if models.clip_head is None else models.clip_head.config
    structure = detector_structure(models.network.config, models.classifier.config, models.settings, head)
    return _filled(structure, models.weights(), models.to_dict(), storage)


def flow_graph(models: TrainedModels, storage: StorageChoice = compact_storage) -> onnx.ModelProto:
    """Return ``flow.onnx``: two images of any size to the flow between them; arguments as `detector_graph`.

    ``image1`` and ``image2`` are ``uint8 [B, H, W, 3]``, RGB; ``flow`` is ``float32 [B, H, W, 2]`` in px. The
    images are padded to multiples of 64 by repeating their last row and column; the flow is enlarged
    bilinearly from a quarter of that size and cut back.
    """
    structure = flow_structure(models.network.config)
    return _filled(structure, models.weights(), models.to_dict(), storage)


def flow_network_graph(network: PWCNet, storage: StorageChoice = compact_storage) -> onnx.ModelProto:
    """Return ``flow.onnx`` of a flow network that no classifier goes with; see `flow_graph`."""
    weights = {variable.path: np.asarray(variable) for variable in weight_variables(network)}
    return _filled(flow_structure(network.config), weights, {"flow": network.config.to_dict()}, storage)


def classifier_graph(models: TrainedModels, storage: StorageChoice = compact_storage) -> onnx.ModelProto:
    """Return ``classifier.onnx``: flow to the logits of pairs; arguments as `detector_graph`.

    ``flow`` is ``float32 [N, S/4, S/4, 2]`` in px of the crop, ``logits`` ``float32 [N]``, calibration
    temperature applied.
    """
    structure = classifier_structure(models.classifier.config, models.settings)
    return _filled(structure, models.weights(), models.to_dict(), storage)


def _filled(
    structure: onnx.ModelProto,
    weights: Mapping[str, np.ndarray],
    described: Mapping[str, object],
    storage: StorageChoice,
) -> onnx.ModelProto:
    """Put the weights into a structure, and the settings that rebuild the models into its metadata."""
    model = bind_weights(structure, weights, storage)
    properties = {prop.key: prop.value for prop in model.metadata_props}
    settings = json.dumps(described, separators=(",", ":"))
    helper.set_model_props(model, properties | {MODEL_KEY: settings})
    onnx.checker.check_model(model, full_check=True)
    return model
