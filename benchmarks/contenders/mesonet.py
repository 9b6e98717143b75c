"""MesoNet (Afchar et al., WIFS 2018): a small network on single frames, the cheap detector that people know.

Its published weights are in Keras 2's HDF5; they are read as arrays, and nothing in the file is executed.
"""

import numpy as np

from flowtell.benchmarks.contenders import MissingError, mean_output

NAME = "MesoNet"
SUMMARY = "Meso4 on each frame of the clip, at 256x256, Keras, one clip a batch; no motion"
SAME_OUTPUT = False

_SIDE_PX = 256
_CONVOLUTIONS = ((8, 3, 2), (8, 5, 2), (16, 5, 2), (16, 5, 4))
"""Filters, kernel and pooling of its four blocks (Afchar et al., figure 4)."""


def open_contender(arena):
    """Return the judging function; see the package."""
    if arena.mesonet is None:
        raise MissingError("it needs the published weights: name the file with --mesonet Meso4_DF.h5")
    import keras

    model = _meso4(keras)
    _load_weights(model, arena.mesonet)

    def judge(clips):
        outputs = []
        for clip in clips:
            frames = keras.ops.image.resize(clip[:-1].astype(np.float32) / 255, (_SIDE_PX, _SIDE_PX))
            real = np.clip(model.predict_on_batch(frames)[:, 0], 1e-7, 1 - 1e-7)
            # its one output is the probability of a real face
            outputs.append(mean_output(np.log((1 - real) / real)))
        return outputs

    return judge


def _meso4(keras):
    layers = keras.layers
    steps = [keras.Input((_SIDE_PX, _SIDE_PX, 3))]
    for filters, kernel, pool in _CONVOLUTIONS:
        steps += [
            layers.Conv2D(filters, kernel, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(pool, padding="same"),
        ]
    steps += [layers.Flatten(), layers.Dense(16), layers.LeakyReLU(0.1)]
    steps.append(layers.Dense(1, activation="sigmoid"))
    return keras.Sequential(steps)


def _load_weights(model, path):
    """Fill the layers that have weights, in order, from a Keras 2 file, which keeps the order of layers."""
    import h5py

    with h5py.File(path, "r") as file:
        root = file.get("model_weights", file)
        names = [_text(name) for name in root.attrs["layer_names"]]
        stored = [
            [np.asarray(root[layer][_text(weight)]) for weight in root[layer].attrs["weight_names"]]
            for layer in names
        ]
    for layer, weights in zip(
        (layer for layer in model.layers if layer.weights), (w for w in stored if w), strict=True
    ):
        layer.set_weights(weights)


def _text(name):
    return name.decode("utf-8") if isinstance(name, bytes) else str(name)
