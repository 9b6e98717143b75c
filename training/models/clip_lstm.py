"""The temporal head: an LSTM over a clip's pairs (Hochreiter and Schmidhuber, Neural Computation, 1997)."""

from dataclasses import asdict, dataclass

import keras
import numpy as np
from keras import layers, ops

__all__ = ["LSTM", "ClipHeadConfig", "ClipLSTM", "build_clip_head"]


@dataclass(frozen=True)
class ClipHeadConfig:
    """What distinguishes one temporal head from another.

    Attributes:
        units: width U of the LSTM's state.
        dropout: rate before the LSTM and before the logit while training.
    """

    units: int = 64
    dropout: float = 0.3

    def to_dict(self):
        """Return the settings as JSON can hold them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values):
        """Rebuild from `to_dict`."""
        return cls(**values)


@keras.saving.register_keras_serializable("flowtell")
class LSTM(layers.Layer):
    """An LSTM whose weights lie as ONNX's operator of that name wants them, up to a transpose.

    Input `[B, T, D]`, T known when it is called; output: the last hidden state, `[B, U]`. Gates stand in the
    order input, output, forget, cell. There are two biases, of the input and of the recurrent product, as
    ONNX and PyTorch have them; only their sum matters.

    `implementation` is what computes a whole clip, `f(sequence, kernel, recurrent_kernel, bias)`; an exporter
    replaces it by one that becomes a node of its own.

    Args:
        units: U.
    """

    def __init__(self, units, **kwargs):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        self.units = units
        self.implementation = self._unrolled

    def build(self, input_shape):
        """Create the weights."""
        width = input_shape[-1]
        self.kernel = self.add_weight(
            name="kernel", shape=(width, 4 * self.units), initializer="glorot_uniform"
        )
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel", shape=(self.units, 4 * self.units), initializer="orthogonal"
        )
        self.bias = self.add_weight(name="bias", shape=(8 * self.units,), initializer=_open_forget_gate)

    def call(self, sequence):
        """Return the hidden state after the last element, `[B, U]`."""
        return self.implementation(sequence, self.kernel, self.recurrent_kernel, self.bias)

    def step(self, x, state):
        """Return the state after one more element.

        Args:
            x: `[B, D]`.
            state: (hidden, cell), each `[B, U]`.
        """
        hidden, cell = state
        u = self.units
        gates = ops.matmul(x, self.kernel) + ops.matmul(hidden, self.recurrent_kernel)
        gates = gates + (self.bias[: 4 * u] + self.bias[4 * u :])
        entry, exit_, forget, candidate = (gates[:, k * u : (k + 1) * u] for k in range(4))
        cell = ops.sigmoid(forget) * cell + ops.sigmoid(entry) * ops.tanh(candidate)
        return ops.sigmoid(exit_) * ops.tanh(cell), cell

    def initial_state(self, batch):
        """Return (hidden, cell) before the first element, both zero `[batch, U]`."""
        zero = ops.zeros((batch, self.units), dtype="float32")
        return zero, zero

    def _unrolled(self, sequence, *_):
        state = self.initial_state(ops.shape(sequence)[0])
        for t in range(sequence.shape[1]):
            state = self.step(sequence[:, t], state)
        return state[0]

    def compute_output_shape(self, input_shape):
        """Return the shape of the last hidden state."""
        return (input_shape[0], self.units)

    def get_config(self):
        """Return the arguments that rebuild the layer."""
        config = super().get_config() | {"units": self.units}
        del config["dtype"]
        return config


def _open_forget_gate(shape, dtype=None):
    """Bias of 1 on the forget gate, so that a new LSTM remembers (Jozefowicz et al., ICML 2015)."""
    units = shape[0] // 8
    bias = np.zeros(shape, np.float32)
    bias[2 * units : 3 * units] = 1.0
    return ops.convert_to_tensor(bias, dtype=dtype)


@keras.saving.register_keras_serializable("flowtell")
class ClipLSTM(keras.Model):
    """One logit a clip from the features of its pairs.

    `call(features)` takes float `[B, T, D]` (what the classifier's hidden layers make of each flow image, in
    order of time) and returns logits `[B]`. `step` does the same one pair at a time.

    Args:
        config: a `ClipHeadConfig`.
    """

    def __init__(self, config, **kwargs):
        super().__init__(**kwargs)
        self.config = config
        self.dropout = layers.Dropout(config.dropout, name="dropout")
        self.lstm = LSTM(config.units, name="lstm")
        self.logit = layers.Dense(1, dtype="float32", name="logit")

    def call(self, features, training=False):
        """Return logits `[B]`."""
        hidden = self.lstm(self.dropout(features, training=training))
        return ops.reshape(self.logit(self.dropout(hidden, training=training)), (-1,))

    def initial_state(self, batch):
        """Return the state before a clip's first pair: (hidden, cell), float32 `[batch, units]` each."""
        return self.lstm.initial_state(batch)

    def step(self, features, state):
        """Return (logits `[B]` of the clips so far, the new state).

        Args:
            features: float `[B, D]` of the next pair of each clip.
            state: from `initial_state` or the last `step`.
        """
        state = self.lstm.step(features, state)
        return ops.reshape(self.logit(state[0]), (-1,)), state

    def get_config(self):
        """Return the arguments that rebuild the model."""
        return super().get_config() | {"config": self.config.to_dict()}

    @classmethod
    def from_config(cls, config):
        """Rebuild from `get_config`."""
        return cls(**config | {"config": ClipHeadConfig.from_dict(config["config"])})


def build_clip_head(config, width):
    """Build a `ClipLSTM` with its weights created.

    Args:
        config: a `ClipHeadConfig`.
        width: D, of the features of a pair: the classifier's `hidden_width`.
    """
    model = ClipLSTM(config, name="clip_head")
    model(keras.KerasTensor((1, 2, width)))
    return model
