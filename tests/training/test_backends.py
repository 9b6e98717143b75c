"""The models on every Keras backend that is installed, against TensorFlow."""

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from tolerances import TOLERANCES

from flowtell.training.models import (
    FLOW_ENCODINGS,
    ClassifierConfig,
    build_classifier,
    build_detector,
    build_flow_network,
)

PROGRAM = """
import sys
import numpy as np
import keras
from flowtell.training.models import (
    FLOW_ENCODINGS, ClassifierConfig, build_classifier, build_detector, build_flow_network
)
folder = sys.argv[1]
network = build_flow_network("tiny")
classifier = build_classifier(ClassifierConfig(input_size=32, head_units=(8,), width=16))
network.load_weights(folder + "/network.weights.h5")
classifier.load_weights(folder + "/classifier.weights.h5")
for encoding in FLOW_ENCODINGS:
    got = build_detector(network, classifier, encoding, 64)(np.load(folder + "/clips.npy"))
    arrays = {name: keras.ops.convert_to_numpy(value) for name, value in got.items()}
    np.savez(folder + "/" + encoding + ".npz", **arrays)
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
    for encoding in FLOW_ENCODINGS:
        want = build_detector(network, classifier, encoding, 64)(clips)
        with np.load(tmp_path / f"{encoding}.npz") as got:
            for name, value in want.items():
                difference = np.abs(got[name] - np.array(value)).max()
                scale = max(1.0, float(np.abs(np.array(value)).max()))
                assert difference <= TOLERANCES["other_backend"].value * scale, (encoding, name)


STEPS = """
import json
import sys
from flowtell.training.flow_source import load_flow_network
from flowtell.training.flow_task import FlowTask
from flowtell.training.settings import FitSettings, FlowSettings
from flowtell.training.synthetic_flow import MotionConfig
from flowtell.training.textures import load_textures
from flowtell.training.trainer import fit
from pathlib import Path
folder = Path(sys.argv[1])
settings = FlowSettings(
    FitSettings(steps=2, epoch_steps=1, batch_size=2, learning_rate=1e-3, keep="last"),
    network="tiny", validation_pairs=4, motion=MotionConfig(size_px=64),
)
task = FlowTask(settings, load_textures(), network=load_flow_network(folder))
result = fit(task, settings.fit, folder / sys.argv[2], {})
(folder / (sys.argv[2] + ".json")).write_text(json.dumps(result.history))
"""


def test_the_flow_trainer_steps_alike(tmp_path):
    network = build_flow_network("tiny")
    network.save_weights(tmp_path / "flow.weights.h5")
    (tmp_path / "flow.json").write_text(json.dumps({"flow": network.config.to_dict()}))
    others = [name for name in ("jax", "torch") if importlib.util.find_spec(name) is not None]
    if not others:
        pytest.skip("neither jax nor torch is installed")
    histories = {}
    for backend in ("tensorflow", *others):
        environment = {**os.environ, "KERAS_BACKEND": backend}
        subprocess.run([sys.executable, "-c", STEPS, str(tmp_path), backend], env=environment, check=True)
        histories[backend] = json.loads((tmp_path / f"{backend}.json").read_text())
    want = histories["tensorflow"]
    for backend in others:
        # The first loss is of the same weights and batch; the second has one step of Adam between.
        for ours, theirs in zip(histories[backend], want, strict=True):
            difference = abs(ours["loss"] - theirs["loss"]) / theirs["loss"]
            assert difference <= TOLERANCES["other_backend"].value, (backend, ours, theirs)
