"""The cost volume: how well each pixel of image 1 matches its neighbours in image 2."""

import keras
from keras import ops

from flowtell.training.models._layout import channel_axis

__all__ = ["CostVolume"]


@keras.saving.register_keras_serializable("flowtell")
class CostVolume(keras.layers.Layer):
    """Correlation of two feature maps over a square of displacements (PWC-Net, section 3).

    Inputs: features of image 1 and of image 2, float, both `[N, H, W, C]` or both `[N, C, H, W]`.
    Output: `[N, H, W, (2d+1)**2]` (or channels first). Channel `(dy + d) * (2d+1) + (dx + d)` is the mean
    over C of `features1[y, x] * features2[y + dy, x + dx]`; outside the image features2 counts as zero.

    For one row offset dy all products of row y with row y + dy are one matrix product `[W, W + 2d]`; its `2d
    + 1` wanted diagonals come out by padding the flattened product by W and reading it in rows that are one
    longer. So the layer needs only Pad, MatMul, Reshape and Slice, in training and in the exported graph
    alike.

    Args:
        max_displacement: d, in pixels of the feature map; 4 in the paper.
        data_format: `"channels_last"` or `"channels_first"`.
    """

    def __init__(self, max_displacement=4, data_format="channels_last", **kwargs):
        super().__init__(**kwargs)
        self.max_displacement = max_displacement
        self.data_format = data_format

    def call(self, features1, features2):
        """Return the cost volume; shapes as stated for the class."""
        d = self.max_displacement
        span = 2 * d + 1
        if channel_axis(self.data_format) == 3:
            rows1 = features1
            rows2 = ops.transpose(features2, (0, 1, 3, 2))
        else:
            rows1 = ops.transpose(features1, (0, 2, 3, 1))
            rows2 = ops.transpose(features2, (0, 2, 1, 3))
        rows2 = ops.pad(rows2, ((0, 0), (d, d), (0, 0), (d, d)))
        _, height, width, channels = ops.shape(rows1)
        # The mean over channels is taken on the smaller factor, before the products multiply the elements.
        rows1 = rows1 * (1.0 / channels)
        by_row = [self._diagonals(rows1, rows2[:, dy : dy + height], height, width) for dy in range(span)]
        volume = ops.concatenate(by_row, axis=-1)
        return volume if channel_axis(self.data_format) == 3 else ops.transpose(volume, (0, 3, 1, 2))

    def _diagonals(self, rows1, rows2, height, width):
        d = self.max_displacement
        products = ops.matmul(rows1, rows2)
        flat = ops.reshape(products, (-1, height, width * (width + 2 * d)))
        padded = ops.pad(flat, ((0, 0), (0, 0), (0, width)))
        return ops.reshape(padded, (-1, height, width, width + 2 * d + 1))[..., : 2 * d + 1]

    def compute_output_shape(self, features1_shape, features2_shape):
        """Return the shape of the volume."""
        shape = list(features1_shape)
        shape[channel_axis(self.data_format)] = (2 * self.max_displacement + 1) ** 2
        return tuple(shape)

    def get_config(self):
        """Return the arguments that rebuild the layer."""
        return super().get_config() | {
            "max_displacement": self.max_displacement,
            "data_format": self.data_format,
        }
