"""What the flow of a pair does not explain: how brightness changes where it leads."""

import keras
from keras import ops

from flowtell.training.models._layout import channel_axis, concat_channels
from flowtell.training.models.flow_image import motion_channels
from flowtell.training.models.warp import Warp

__all__ = ["Residual", "quarter_luma", "seen_motion"]

# Thousandths of red, green and blue in luma (ITU-R BT.601-7, section 2.5.1). As whole numbers they keep
# means of 16 levels within float32's 24 bits, so that in whatever order they are summed nothing is rounded.
_LUMA_THOUSANDTHS = (299.0, 587.0, 114.0)
# PWC-Net gives its flow at a quarter of the image's size.
_FLOW_STRIDE = 4


def quarter_luma(frames, data_format="channels_last"):
    """Return the luma of frames, averaged to the size of their flow: float `[N, H/4, W/4, 1]` in levels.

    Args:
        frames: float `[N, H, W, 3]` RGB in [0, 255] (or channels first), H and W multiples of 4.
        data_format: `"channels_last"` or `"channels_first"`.
    """
    tile = (_FLOW_STRIDE, _FLOW_STRIDE)
    small = ops.average_pool(frames, tile, tile, data_format=data_format)
    red, green, blue = ops.split(small, 3, axis=channel_axis(data_format))
    of_red, of_green, of_blue = _LUMA_THOUSANDTHS
    return (of_red * red + of_green * green + of_blue * blue) * 1e-3


class Residual(keras.layers.Layer):
    """The second frame's luma, sampled where the flow leads, less the first frame's.

    It is 0 where the flow explains all that changes, and where it leads out of the image. A face that is made
    anew in every frame changes in ways that no motion explains.

    Inputs: flow `[N, H/4, W/4, 2]` in px of the frames, and both frames' `quarter_luma` (or all channels
    first). Output: `[N, H/4, W/4, 1]` in levels, in [-255, 255].

    Args:
        warp: the `Warp` of the flow network, so that an exporter sees it once.
        data_format: `"channels_last"` or `"channels_first"`.
    """

    def __init__(self, warp, data_format="channels_last", **kwargs):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        self.warp = warp
        self.data_format = data_format

    def call(self, flow, luma1, luma2):
        """Return the residual; see the class."""
        # warped ones tell how much of what is sampled lies in the image
        sampled = self.warp(
            concat_channels([luma2, ops.ones_like(luma2)], self.data_format), flow / _FLOW_STRIDE
        )
        moved, inside = ops.split(sampled, 2, axis=channel_axis(self.data_format))
        return moved - inside * luma1


def seen_motion(encoding, flow, image1, image2):
    """Return what a flow image shows of pairs: their flow, and where it shows it the residual.

    Args:
        encoding: of the flow image.
        flow: float `[N, H/4, W/4, 2]` in px of the images.
        image1: `[N, H, W, 3]` RGB in [0, 255].
        image2: the same.

    Returns:
        the flow as it is, or float32 `[N, H/4, W/4, 3]`: u, v, and the `Residual` in levels.
    """
    if motion_channels(encoding) == 2:
        return flow
    flow = ops.cast(flow, "float32")
    luma = [quarter_luma(ops.cast(image, "float32")) for image in (image1, image2)]
    return ops.concatenate([flow, Residual(Warp())(flow, *luma)], axis=-1)
