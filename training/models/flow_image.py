"""From flow to the picture that the classifier sees."""

import math

import keras
import numpy as np
from keras import ops

from flowtell.training.models._layout import channel_axis

__all__ = [
    "FLOW_ENCODINGS",
    "RESIDUAL_RANGE_LEVELS",
    "UV_RANGE_PX",
    "BilinearResize",
    "FlowImage",
    "colour_wheel",
    "motion_channels",
    "uv_image",
    "uv_residual_image",
]

FLOW_ENCODINGS = ("colour_wheel", "uv", "uv_residual")

# Where the hues of the Middlebury wheel begin, counted from red: 15 steps to yellow, 6 to green, 4 to cyan,
# 11 to blue, 13 to magenta, 6 back to red (Baker et al., "A Database and Evaluation Methodology for Optical
# Flow", IJCV 2011).
_YELLOW, _GREEN, _CYAN, _BLUE, _MAGENTA, _HUES = 15, 21, 25, 36, 49, 55
# A pair in which nothing moves by a pixel is not stretched to full saturation: its noise would become the
# picture.
_MIN_RADIUS_PX = 1.0
# Flow of this length reaches the end of a channel. What tells a made face from a grown one are fractions of a
# pixel: with 8 px, under which all but a hundredth of the flow lies, the default detector ranks files worse.
UV_RANGE_PX = 2.0
# A residual of so many levels reaches the end of its channel: the mean of what videos show lies at 1.
RESIDUAL_RANGE_LEVELS = 8.0


def motion_channels(encoding):
    """Return how many channels of motion a flow image shows: 2, u and v, or 3, with the residual."""
    return 3 if encoding == "uv_residual" else 2


def colour_wheel(u, v, axes):
    """Return the red, green and blue of the Middlebury colour wheel, each in [0, 255], not rounded.

    Direction gives the hue, length over the pair's largest length (at least 1 px) the saturation.

    Args:
        u: float tensor, in px, rightwards.
        v: the same shape, downwards.
        axes: the axes over which the largest length of one pair is taken.
    """
    radius = ops.sqrt(ops.square(u) + ops.square(v))
    largest = ops.max(radius, axis=axes, keepdims=True)
    saturation = radius / ops.maximum(largest, _MIN_RADIUS_PX)
    # atan2(-v, -u) by half angles: defined at zero, and made of operators that every runtime has.
    acute = 2.0 * ops.arctan(ops.abs(v) / ops.maximum(radius + ops.abs(u), 1e-12))
    half_turn = ops.where(u <= 0.0, acute, math.pi - acute)
    turn = ops.where(v < 0.0, half_turn, -half_turn)
    # The wheel's own code spreads a full turn over one step less than there are hues.
    hue = (turn / math.pi + 1.0) * ((_HUES - 1) / 2)
    red = ops.maximum((_GREEN - hue) / (_GREEN - _YELLOW), (hue - _BLUE) / (_MAGENTA - _BLUE))
    green = ops.minimum(hue / _YELLOW, (_BLUE - hue) / (_BLUE - _CYAN))
    blue = ops.minimum((hue - _GREEN) / (_CYAN - _GREEN), (_HUES - hue) / (_HUES - _MAGENTA))
    return [255.0 * (1.0 - saturation * (1.0 - ops.clip(c, 0.0, 1.0))) for c in (red, green, blue)]


def uv_image(u, v):
    """Return three channels in [0, 255]: u and v about 127.5 with a fixed scale, and the length from 0.

    Args:
        u: float tensor, in px, rightwards; `UV_RANGE_PX` reaches the end of a channel.
        v: the same shape, downwards.
    """
    scale = 127.5 / UV_RANGE_PX
    radius = ops.sqrt(ops.square(u) + ops.square(v))
    return [ops.clip(c, 0.0, 255.0) for c in (127.5 + scale * u, 127.5 + scale * v, 2 * scale * radius)]


def uv_residual_image(u, v, residual):
    """Return three channels in [0, 255], each about 127.5 with a fixed scale: u, v and the residual.

    Args:
        u: as for `uv_image`.
        v: the same.
        residual: float tensor of the same shape, in levels; `RESIDUAL_RANGE_LEVELS` reaches the end of a
            channel.
    """
    shares = (u / UV_RANGE_PX, v / UV_RANGE_PX, residual / RESIDUAL_RANGE_LEVELS)
    return [ops.clip(127.5 + 127.5 * share, 0.0, 255.0) for share in shares]


@keras.saving.register_keras_serializable("flowtell")
class FlowImage(keras.layers.Layer):
    """Motion as a picture.

    Input `[N, H, W, 2]` px, or of `"uv_residual"` `[N, H, W, 3]`, of which the last is the `Residual` in
    levels (or channels first). Output `[N, H, W, 3]` in [0, 255], not rounded.

    Args:
        encoding: `"colour_wheel"` (the original method), `"uv"` or `"uv_residual"`.
        data_format: `"channels_last"` or `"channels_first"`.

    Raises:
        ValueError: for another encoding.
    """

    def __init__(self, encoding="colour_wheel", data_format="channels_last", **kwargs):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        if encoding not in FLOW_ENCODINGS:
            raise ValueError(f"flow encoding must be one of {', '.join(FLOW_ENCODINGS)}, not {encoding!r}")
        self.encoding = encoding
        self.data_format = data_format

    def call(self, motion):
        """Return the flow image."""
        axis = channel_axis(self.data_format)
        parts = ops.split(motion, motion_channels(self.encoding), axis=axis)
        if self.encoding == "colour_wheel":
            channels = colour_wheel(*parts, tuple(a for a in (1, 2, 3) if a != axis))
        else:
            channels = (uv_image if self.encoding == "uv" else uv_residual_image)(*parts)
        return ops.concatenate(channels, axis=axis)

    def get_config(self):
        """Return the arguments that rebuild the layer."""
        config = super().get_config() | {"encoding": self.encoding, "data_format": self.data_format}
        del config["dtype"]
        return config


@keras.saving.register_keras_serializable("flowtell")
class BilinearResize(keras.layers.Layer):
    """Bilinear resize of square images to a fixed size, as two matrix products; antialiased when shrinking.

    Pixel centres lie at half-integers, borders repeat. Two products with constant matrices are the same
    operation, to the last rounding, on every backend and runtime, which their resize operators are not.

    Input `[N, H, H, C]` (or channels first), output `[N, size, size, C]`.
    """

    def __init__(self, size, data_format="channels_last", **kwargs):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        self.size = size
        self.data_format = data_format

    def call(self, images):
        """Return the resized images."""
        last = channel_axis(self.data_format) == 3
        x = ops.transpose(images, (0, 3, 1, 2)) if last else images
        matrix = _triangle_filter(x.shape[2], self.size)
        x = ops.matmul(ops.matmul(matrix, x), matrix.T)
        return ops.transpose(x, (0, 2, 3, 1)) if last else x

    def get_config(self):
        """Return the arguments that rebuild the layer."""
        config = super().get_config() | {"size": self.size, "data_format": self.data_format}
        del config["dtype"]
        return config


def _triangle_filter(source, target):
    """Return float32 `[target, source]`, rows summing to one."""
    scale = source / target
    support = max(scale, 1.0)
    centres = (np.arange(target) + 0.5) * scale
    distance = np.abs(np.arange(source) + 0.5 - np.clip(centres, 0.5, source - 0.5)[:, None])
    weights = np.maximum(0, 1 - distance / support)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)
