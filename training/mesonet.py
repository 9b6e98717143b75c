"""MesoNet's Meso4, a detector of single face pictures, as a contender.

Afchar, Nozick, Yamagishi and Echizen: "MesoNet: a Compact Facial Video Forgery Detection Network", WIFS 2018.
Its published weights are HDF5 of Keras 2; only their arrays are read.
"""

import h5py
import keras
import numpy as np
from keras import layers

from flowtell import InputError

__all__ = ["load_meso4"]

_SIDE_PX = 256
# Filters, kernel and pooling of each convolution.
_CONVOLUTIONS = ((8, 3, 2), (8, 5, 2), (16, 5, 2), (16, 5, 4))


def load_meso4(path):
    """Return Meso4 with its weights: float `[N, 256, 256, 3]` RGB in [0, 1] to the probability of *real*.

    Args:
        path: `Meso4_DF.h5` or `Meso4_F2F.h5`.

    Raises:
        InputError: the file cannot be read or holds no Meso4.
    """
    image = keras.Input((_SIDE_PX, _SIDE_PX, 3))
    x = image
    for filters, kernel, pool in _CONVOLUTIONS:
        x = layers.Conv2D(filters, kernel, padding="same", activation="relu")(x)
        x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D(pool, padding="same")(x)
    x = layers.Dense(16)(layers.Flatten()(x))
    x = layers.LeakyReLU(0.1)(x)
    model = keras.Model(image, layers.Dense(1, activation="sigmoid")(x))
    weighted = [layer for layer in model.layers if layer.weights]
    try:
        with h5py.File(path, "r") as file:
            root = file.get("model_weights", file)
            groups = [root[n] for n in _in_order(root) if len(root[n].attrs["weight_names"])]
            arrays = [[np.asarray(g[name]) for name in g.attrs["weight_names"]] for g in groups]
        for layer, values in zip(weighted, arrays, strict=True):
            layer.set_weights(values)
    except (KeyError, OSError, ValueError) as error:
        raise InputError(f"'{path}' holds no weights of Meso4: {error}") from error
    return model


def _in_order(root):
    """Return the names of the layers in a group, first to last."""
    return [n.decode() if isinstance(n, bytes) else n for n in root.attrs["layer_names"]]
