"""The classifier: ImageNet VGG16 on a flow image with a dense head (Amerini et al., section 3)."""

from dataclasses import asdict, dataclass

import h5py
import keras
import numpy as np
from keras import layers, ops

from flowtell.training.models._layout import channel_axis, concat_channels, to_channels_last
from flowtell.training.models.flow_image import BilinearResize

__all__ = ["ClassifierConfig", "FlowClassifier", "build_classifier", "load_imagenet_weights"]

# ImageNet mean of blue, green and red that the Oxford weights expect to be subtracted.
_IMAGENET_MEAN_BGR = (103.939, 116.779, 123.68)
# VGG16, configuration D of Simonyan and Zisserman (ICLR 2015): filters and convolutions of each block.
_VGG16_BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
# "All but its last four layers frozen": the three convolutions and the pooling of block 5 are trained.
FROZEN_BLOCKS = 4


@dataclass(frozen=True)
class ClassifierConfig:
    """What distinguishes one classifier from another.

    Attributes:
        input_size: side in px that flow images are resized to; 120 in the original method.
        head_units: widths of the dense layers before the logit; (4096, 4096) in the original method.
        width: divisor of VGG16's filters; 1 is VGG16, which ImageNet weights fit.
        preprocessing: `"imagenet"` (BGR, mean subtracted) or `"raw_rgb"` (what the original method fed).
        dropout: rate before each dense layer while training.
        blocks: how many of VGG16's five blocks stand before the head, 4 or 5.
    """

    input_size: int = 120
    head_units: tuple[int, ...] = (4096, 4096)
    width: int = 1
    preprocessing: str = "imagenet"
    dropout: float = 0.5
    blocks: int = 5

    def to_dict(self):
        """Return the settings as JSON can hold them."""
        return asdict(self) | {"head_units": list(self.head_units)}

    @classmethod
    def from_dict(cls, values):
        """Rebuild from `to_dict`."""
        return cls(**values | {"head_units": tuple(values["head_units"])})


class _Block(layers.Layer):
    """3x3 convolutions with ReLU, then 2x2 maximum pooling."""

    def __init__(self, filters, count, data_format, **kwargs):
        super().__init__(**kwargs)
        self.convs = [
            layers.Conv2D(
                filters,
                3,
                padding="same",
                activation="relu",
                kernel_initializer="he_normal",
                data_format=data_format,
                dtype=self.dtype_policy,
                name=f"conv{i + 1}",
            )
            for i in range(count)
        ]
        self.pool = layers.MaxPooling2D(2, data_format=data_format)

    def call(self, x):
        for conv in self.convs:
            x = conv(x)
        return self.pool(x)


@keras.saving.register_keras_serializable("flowtell")
class FlowClassifier(keras.Model):
    """VGG16 with a dense head: flow images to logits.

    `call(images)` takes float `[N, H, H, 3]` RGB in [0, 255] (or channels first) of any one size and returns
    logits `[N]`; their sigmoid is the probability of *fake*. `frozen_features` and `judge_features` are its
    halves: the first never changes in training, so that its output can be cached.

    Args:
        config: the sizes and the preprocessing.
        data_format: `"channels_last"` or `"channels_first"`; the weights are the same for both.

    Raises:
        ValueError: for an unknown preprocessing or another number of blocks.
    """

    def __init__(self, config, data_format="channels_last", **kwargs):
        super().__init__(**kwargs)
        if config.preprocessing not in ("imagenet", "raw_rgb"):
            raise ValueError(f"preprocessing must be 'imagenet' or 'raw_rgb', not {config.preprocessing!r}")
        if config.blocks not in (FROZEN_BLOCKS, len(_VGG16_BLOCKS)):
            raise ValueError(f"a classifier has 4 or 5 blocks, not {config.blocks}")
        self.config = config
        self.data_format = data_format
        self.resize = BilinearResize(config.input_size, data_format, name="resize")
        self.blocks = [
            _Block(filters // config.width, count, data_format, name=f"block{i}")
            for i, (filters, count) in enumerate(_VGG16_BLOCKS[: config.blocks], start=1)
        ]
        self.dropout = layers.Dropout(config.dropout, name="dropout")
        self.hidden = [
            layers.Dense(units, activation="relu", name=f"dense{i}")
            for i, units in enumerate(config.head_units, start=1)
        ]
        self.logit = layers.Dense(1, dtype="float32", name="logit")
        for block in self.blocks[:FROZEN_BLOCKS]:
            block.trainable = False

    def call(self, images, training=False):
        """Return logits `[N]`."""
        return self.judge_features(self.frozen_features(images), training=training)

    def frozen_features(self, images):
        """Return the output of the frozen blocks, `[N, h, w, C]` (7x7x512 for VGG16 at 120x120)."""
        x = self._preprocess(self.resize(images))
        for block in self.blocks[:FROZEN_BLOCKS]:
            x = block(x)
        return x

    def judge_features(self, features, training=False):
        """Return logits `[N]` from the output of the frozen blocks."""
        return self.judge_flat(self.flat_features(features), training=training)

    def flat_features(self, features):
        """Return what the head sees, `[N, h * w * C]`, from the output of the frozen blocks."""
        x = features
        for block in self.blocks[FROZEN_BLOCKS:]:
            x = block(x)
        # The dense weights are ordered as Keras flattens channels-last maps, whatever the layout here.
        x = to_channels_last(x, self.data_format)
        return ops.reshape(x, (-1, x.shape[1] * x.shape[2] * x.shape[3]))

    def judge_flat(self, flat, training=False):
        """Return logits `[N]` from what the head sees."""
        return self.judge_hidden(self.hidden_features(flat, training=training), training=training)

    def hidden_features(self, flat, training=False):
        """Return the output of the last dense layer before the logit, `[N, D]`, from what the head sees."""
        x = flat
        for dense in self.hidden:
            x = dense(self.dropout(x, training=training))
        return x

    def judge_hidden(self, hidden, training=False):
        """Return logits `[N]` from the output of the last dense layer."""
        return ops.reshape(self.logit(self.dropout(hidden, training=training)), (-1,))

    @property
    def hidden_width(self):
        """D, the width of `hidden_features`."""
        return self.logit.kernel.shape[0]

    def _preprocess(self, images):
        if self.config.preprocessing == "raw_rgb":
            return images
        red, green, blue = ops.split(images, 3, axis=channel_axis(self.data_format))
        centred = [c - mean for c, mean in zip((blue, green, red), _IMAGENET_MEAN_BGR, strict=True)]
        return concat_channels(centred, self.data_format)

    def get_config(self):
        """Return the arguments that rebuild the model."""
        return super().get_config() | {"config": self.config.to_dict(), "data_format": self.data_format}

    @classmethod
    def from_config(cls, config):
        """Rebuild from `get_config`."""
        return cls(**config | {"config": ClassifierConfig.from_dict(config["config"])})


def build_classifier(config=None, data_format="channels_last"):
    """Build a classifier with its weights created (not ImageNet's: see `load_imagenet_weights`).

    Args:
        config: a `ClassifierConfig`; None for the original method's, 50,378,561 parameters.
        data_format: `"channels_last"` or `"channels_first"`.
    """
    model = FlowClassifier(config or ClassifierConfig(), data_format, name="classifier")
    side = model.config.input_size
    model(keras.KerasTensor((1, side, side, 3) if data_format == "channels_last" else (1, 3, side, side)))
    return model


def load_imagenet_weights(classifier, path):
    """Fill the convolutions of a classifier, 13 or 10, from Keras's VGG16 file without its top.

    Args:
        classifier: from `build_classifier`, `width` 1.
        path: `vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5` under any name (HDF5, one group a layer).

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds no VGG16 of that shape.
    """
    with h5py.File(path, "r") as file:
        for number, block in enumerate(classifier.blocks, start=1):
            for index, conv in enumerate(block.convs, start=1):
                conv.set_weights(_kernel_and_bias(file, f"block{number}_conv{index}", conv.kernel.shape))


def _kernel_and_bias(file, layer, kernel_shape):
    # Keras 2 lists a layer's arrays, kernel first, in the attribute `weight_names` of its group.
    names = file[layer].attrs.get("weight_names", ()) if layer in file else ()
    arrays = [np.asarray(file[layer][name]) for name in names]
    if [a.shape for a in arrays] != [tuple(kernel_shape), (kernel_shape[-1],)]:
        raise ValueError(
            f"no VGG16 weights in {file.filename}: layer {layer} does not hold a kernel and a bias"
        )
    return arrays
