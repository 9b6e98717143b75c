"""Writes the bundle that tests and soak runs use: the whole chain, hardly any arithmetic, random weights.

    python -m flowtell.export.tiny FOLDER

writes the same bytes every time. What it says about a video means nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from flowtell.export.bundle import write_bundle
from flowtell.export.bundle_facts import BundleFacts, OperatingPoint, TrainingSource
from flowtell.export.trained_models import JoinSettings, TrainedModels
from flowtell.training.models import ClassifierConfig, FlowNetworkConfig

__all__ = ["tiny_models", "write_tiny_bundle"]

# Of twenty seeds tried, one whose logits differ between real clips and do not saturate.
SEED = 20260110
CROP_SIZE = 64

_FLOW = FlowNetworkConfig(
    pyramid_filters=(2, 2, 4, 4, 4, 4),
    decoder_filters=(2, 2, 2, 2, 2),
    context_filters=(4, 4, 4, 4, 4, 2),
    dense=False,
)
# 32 px is the smallest side that five poolings leave a pixel of.
_CLASSIFIER = ClassifierConfig(input_size=32, head_units=(4,), width=32)

_FACTS = BundleFacts(
    name="tiny",
    licence="Apache-2.0; the face detector inside is MIT",
    thresholds=(OperatingPoint(0.5, "none: the weights are random"),),
    training_data=(TrainingSource("none", "the weights are random numbers from a fixed seed"),),
)
_PAPERS = {
    "MODEL_CARD.md": (
        "# tiny\n\n"
        "Random weights from a fixed seed, for tests. It has learnt nothing and its verdicts mean nothing.\n"
    ),
    "LICENSE": "The random weights of this bundle are under the Apache License 2.0.\n",
    "NOTICE": "faces.onnx contains YuNet (c) Shiqi Yu, Yuantao Feng and contributors, MIT licence.\n",
}


def tiny_models(flow_encoding: str = "colour_wheel") -> TrainedModels:
    """Return models of a few thousand weights, the same ones on every call.

    Args:
        flow_encoding: ``colour_wheel``, ``uv`` or ``uv_residual``.
    """
    models = TrainedModels.build(_FLOW, _CLASSIFIER, JoinSettings(flow_encoding, CROP_SIZE, temperature=1.5))
    models.assign(random_weights(models, SEED))
    return models


def random_weights(models: TrainedModels, seed: int) -> dict[str, np.ndarray]:
    """Draw weights under which flow and logits are neither zero nor saturated.

    Args:
        models: whose weights to draw; they are not changed.
        seed: of NumPy's generator.
    """
    generator = np.random.default_rng(seed)
    weights = {}
    for path, value in models.weights().items():
        if value.ndim < 2:
            weights[path] = generator.uniform(-0.1, 0.1, value.shape).astype(np.float32)
        else:
            # He et al. (ICCV 2015): the size of activations is kept through the layers.
            scale = np.sqrt(2 / np.prod(value.shape[:-1]))
            weights[path] = generator.normal(0, scale, value.shape).astype(np.float32)
    return weights


def write_tiny_bundle(folder: Path) -> None:
    """Write the bundle; arguments and errors as for `flowtell.export.bundle.write_bundle`."""
    write_bundle(folder, tiny_models(), _FACTS, _PAPERS)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m flowtell.export.tiny FOLDER")
    write_tiny_bundle(Path(sys.argv[1]))
