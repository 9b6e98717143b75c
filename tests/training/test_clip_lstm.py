"""The temporal head's LSTM, against Keras's own."""

import keras
import numpy as np
from tolerances import TOLERANCES

from flowtell.training.models import ClipHeadConfig, build_clip_head
from flowtell.training.models.clip_lstm import LSTM

UNITS, WIDTH = 5, 7


def reordered(weight):
    """Bring the gates from our order (input, output, forget, cell) into Keras's (i, f, c, o)."""
    entry, exit_, forget, candidate = np.split(weight, 4, axis=-1)
    return np.concatenate([entry, forget, candidate, exit_], axis=-1)


def test_it_is_keras_lstm_with_its_gates_in_onnx_order():
    keras.utils.set_random_seed(0)
    ours, theirs = LSTM(UNITS), keras.layers.LSTM(UNITS)
    sequence = np.random.default_rng(0).normal(size=(3, 6, WIDTH)).astype(np.float32)
    ours(sequence), theirs(sequence)
    ours.bias.assign(np.random.default_rng(1).normal(size=8 * UNITS).astype(np.float32))
    kernel, recurrent, bias = (np.asarray(w) for w in (ours.kernel, ours.recurrent_kernel, ours.bias))
    summed = bias[: 4 * UNITS] + bias[4 * UNITS :]
    theirs.set_weights([reordered(kernel), reordered(recurrent), reordered(summed)])
    difference = np.abs(np.array(ours(sequence)) - np.array(theirs(sequence))).max()
    assert difference <= TOLERANCES["layer_float32"].value


def test_a_new_one_remembers():
    layer = LSTM(UNITS)
    layer.build((None, None, WIDTH))
    bias = np.asarray(layer.bias)
    assert bias.reshape(8, UNITS).sum(1).tolist() == [0, 0, UNITS, 0, 0, 0, 0, 0]


def test_step_by_step_is_the_whole_sequence():
    head = build_clip_head(ClipHeadConfig(UNITS), WIDTH)
    sequence = np.random.default_rng(2).normal(size=(2, 4, WIDTH)).astype(np.float32)
    state = head.initial_state(2)
    for t in range(4):
        logit, state = head.step(sequence[:, t], state)
    assert np.abs(np.array(logit) - np.array(head(sequence))).max() <= TOLERANCES["layer_float32"].value
