"""The models on every Keras backend that is installed, against TensorFlow."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest
from tolerances import TOLERANCES

from flowtell.training.models import ClassifierConfig, build_classifier, build_detector, build_flow_network

PROGRAM = """
import sys
import numpy as np
import keras
from flowtell.training.models import ClassifierConfig, build_classifier, build_detector, build_flow_network
folder = sys.argv[1]
network = build_flow_network("tiny")
classifier = build_classifier(ClassifierConfig(input_size=32, head_units=(8,), width=16))
network.load_weights(folder + "/network.weights.h5")
classifier.load_weights(folder + "/classifier.weights.h5")
got = build_detector(network, classifier, "colour_wheel", 64)(np.load(folder + "/clips.npy"))
np.savez(folder + "/got.npz", **{name: keras.ops.convert_to_numpy(value) for name, value in got.items()})
"""


@pytest.mark.parametrize(("backend", "package"), [("torch", "torch"), ("jax", "jax")])
def test_the_chain_runs_alike(backend, package, tmp_path):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    network = build_flow_network("tiny")
    classifier = build_classifier(ClassifierConfig(input_size=32, head_units=(8,), width=16))
    network.save_weights(tmp_path / "network.weights.h5")
    classifier.save_weights(tmp_path / "classifier.weights.h5")
    clips = np.random.default_rng(0).integers(0, 256, (1, 4, 64, 64, 3)).astype(np.uint8)
    np.save(tmp_path / "clips.npy", clips)
    environment = {**os.environ, "KERAS_BACKEND": backend}
    subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], env=environment, check=True)
    want = build_detector(network, classifier, "colour_wheel", 64)(clips)
    with np.load(tmp_path / "got.npz") as got:
        for name, value in want.items():
            difference = np.abs(got[name] - np.array(value)).max()
            scale = max(1.0, float(np.abs(np.array(value)).max()))
            assert difference <= TOLERANCES["other_backend"].value * scale, name
