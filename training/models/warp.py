"""The warp: image 2 seen where the flow says it came from."""

import keras
from keras import ops

from flowtell.training.models._layout import channel_axis

__all__ = ["Warp", "backward_warp"]


def backward_warp(image2, flow):
    """Sample image 2 at `x + flow(x)`, bilinearly; outside the image it counts as zero.

    This is ONNX GridSample with `align_corners=1`, `padding_mode="zeros"`, `mode="linear"`, on the grid of
    pixel centres moved by the flow.

    Args:
        image2: float `[N, H, W, C]`.
        flow: float `[N, H, W, 2]`, (u, v), x right and y down, in pixels of image 2.

    Returns:
        float `[N, H, W, C]`, in the dtype of `image2`.
    """
    batch, height, width, channels = ops.shape(image2)
    dtype = flow.dtype
    x = ops.arange(width, dtype=dtype)[None, None, :] + flow[..., 0]
    y = ops.arange(height, dtype=dtype)[None, :, None] + flow[..., 1]
    left, top = ops.floor(x), ops.floor(y)
    right_weight, bottom_weight = x - left, y - top

    flat = ops.reshape(image2, (-1, channels))
    first_pixel = ops.arange(batch, dtype="int32")[:, None, None] * (height * width)

    def corner(column, row, weight):
        inside = (column >= 0) & (column <= width - 1) & (row >= 0) & (row <= height - 1)
        # A huge or non-finite coordinate must not reach the integer cast.
        column = ops.cast(ops.where(inside, column, 0.0), "int32")
        row = ops.cast(ops.where(inside, row, 0.0), "int32")
        values = ops.take(flat, first_pixel + row * width + column, axis=0)
        return values * ops.cast(ops.where(inside, weight, 0.0), image2.dtype)[..., None]

    return (
        corner(left, top, (1 - right_weight) * (1 - bottom_weight))
        + corner(left + 1, top, right_weight * (1 - bottom_weight))
        + corner(left, top + 1, (1 - right_weight) * bottom_weight)
        + corner(left + 1, top + 1, right_weight * bottom_weight)
    )


@keras.saving.register_keras_serializable("flowtell")
class Warp(keras.layers.Layer):
    """Backward warp of a feature map by a flow (PWC-Net, section 3, "Warping layer").

    Inputs: features of image 2, `[N, H, W, C]` (or `[N, C, H, W]`), and a flow in pixels of the feature map,
    its two channels in the same place. Output: the shape of the features. Always computed in float32:
    bfloat16 cannot tell two positions less than a pixel apart beyond 128.

    `implementation` is what computes it, `f(features, flow, data_format)`; an exporter replaces it by one
    that becomes a GridSample node, so that the network itself is written once.
    """

    def __init__(self, data_format="channels_last", implementation=None, **kwargs):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        self.data_format = data_format
        self.implementation = implementation or _warp_any_layout

    def call(self, features, flow):
        """Return the warped features; shapes as stated for the class."""
        return self.implementation(features, flow, self.data_format)

    def compute_output_shape(self, features_shape, flow_shape):
        """Return the shape of the features."""
        return features_shape

    def get_config(self):
        """Return the arguments that rebuild the layer."""
        config = super().get_config() | {"data_format": self.data_format}
        del config["dtype"]
        return config


def _warp_any_layout(features, flow, data_format):
    if channel_axis(data_format) == 3:
        return backward_warp(features, flow)
    to_last, to_first = (0, 2, 3, 1), (0, 3, 1, 2)
    warped = backward_warp(ops.transpose(features, to_last), ops.transpose(flow, to_last))
    return ops.transpose(warped, to_first)
