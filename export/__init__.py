"""From a trained Keras model to a bundle: tf2onnx, graph passes, storage, parity.

Importing this package is cheap; TensorFlow is imported when a name is first used.
"""

from __future__ import annotations

import importlib

_HOMES = {
    "BundleFacts": "bundle_facts",
    "LeastEvidence": "bundle_facts",
    "JoinSettings": "trained_models",
    "OperatingPoint": "bundle_facts",
    "TrainedModels": "trained_models",
    "TrainingSource": "bundle_facts",
    "compare": "parity",
    "export_classifier": "bundle",
    "export_flow": "bundle",
    "keras_from_bundle": "bundle",
    "read_model_folder": "model_folder",
    "write_bundle": "bundle",
    "write_capture_graphs": "capture",
    "write_model_folder": "model_folder",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    """Import the module that a public name lives in."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
