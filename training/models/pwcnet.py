"""PWC-Net.

Sun, Yang, Liu, Kautz: "PWC-Net: CNNs for Optical Flow Using Pyramid, Warping, and Cost Volume", CVPR 2018.
"""

from dataclasses import asdict, dataclass

import keras
from keras import layers, ops

from flowtell.training.models._layout import channel_axis, concat_channels
from flowtell.training.models.cost_volume import CostVolume
from flowtell.training.models.warp import Warp

__all__ = ["FLOW_DIVISOR", "FLOW_PRESETS", "FlowNetworkConfig", "PWCNet", "build_flow_network"]

# Section 4 of the paper scales the ground truth by 20 so that the heads regress numbers of order one.
FLOW_DIVISOR = 20.0
LEAKY_SLOPE = 0.1
CONTEXT_DILATIONS = (1, 2, 4, 8, 16, 1)


@dataclass(frozen=True)
class FlowNetworkConfig:
    """What distinguishes one PWC-Net from another.

    Attributes:
        pyramid_filters: channels of levels 1 to 6 of the feature pyramid.
        decoder_filters: channels of the five convolutions of each level's flow estimator.
        context_filters: channels of the six dilated convolutions of the context network.
        dense: whether each decoder convolution sees all that came before it (DenseNet connections).
        max_displacement: search range of the cost volume, in pixels of the level.
        normalise_features: whether features are centred and scaled before they are correlated (Jonschkowski
            et al., "What Matters in Unsupervised Optical Flow", ECCV 2020, section 3.2). The paper's network
            does without; with it, training leaves zero flow within a hundred steps instead of thousands.
    """

    pyramid_filters: tuple[int, ...] = (16, 32, 64, 96, 128, 196)
    decoder_filters: tuple[int, ...] = (128, 128, 96, 64, 32)
    context_filters: tuple[int, ...] = (128, 128, 128, 96, 64, 32)
    dense: bool = True
    max_displacement: int = 4
    normalise_features: bool = False

    def to_dict(self):
        """Return the settings as JSON can hold them."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values):
        """Rebuild from `to_dict`."""
        return cls(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})


FLOW_PRESETS = {
    "full": FlowNetworkConfig(),
    "full_normalised": FlowNetworkConfig(normalise_features=True),
    "small": FlowNetworkConfig(dense=False, normalise_features=True),
    # For tests and soak runs: the same structure, hardly any arithmetic.
    "tiny": FlowNetworkConfig(
        pyramid_filters=(4, 4, 8, 8, 8, 8),
        decoder_filters=(8, 8, 8, 8, 4),
        context_filters=(8, 8, 8, 8, 8, 4),
        dense=False,
        normalise_features=True,
    ),
}


class _ConvLeaky(layers.Layer):
    """3x3 convolution with the symmetric padding of the authors' code, then LeakyReLU(0.1)."""

    def __init__(self, filters, strides=1, dilation=1, data_format="channels_last", **kwargs):
        super().__init__(**kwargs)
        # "same" pads a strided convolution at one side only, which would shift each level by half a pixel.
        self.pad = None
        if strides > 1:
            self.pad = layers.ZeroPadding2D(1, data_format=data_format, dtype=self.dtype_policy)
        self.conv = layers.Conv2D(
            filters,
            3,
            strides=strides,
            padding="same" if self.pad is None else "valid",
            dilation_rate=dilation,
            data_format=data_format,
            kernel_initializer="he_normal",
            dtype=self.dtype_policy,
            name="conv",
        )

    def call(self, x):
        if self.pad is not None:
            x = self.pad(x)
        return ops.leaky_relu(self.conv(x), negative_slope=LEAKY_SLOPE)


class FeaturePyramid(layers.Layer):
    """Feature pyramid of one image; level l has 1/2**l of its size.

    Input: float `[N, H, W, 3]` RGB in [0, 1], H and W multiples of 64.
    Output: list of six tensors, levels 1 to 6.
    """

    def __init__(self, filters, data_format="channels_last", **kwargs):
        super().__init__(**kwargs)
        self.levels = [
            [
                _ConvLeaky(
                    n,
                    2 if i == 0 else 1,
                    data_format=data_format,
                    dtype=self.dtype_policy,
                    name=f"{level}_{i}",
                )
                for i in range(3)
            ]
            for level, n in enumerate(filters, start=1)
        ]

    def call(self, x):
        """Return the features of levels 1 to 6."""
        pyramid = []
        for convs in self.levels:
            for conv in convs:
                x = conv(x)
            pyramid.append(x)
        return pyramid


class FlowDecoder(layers.Layer):
    """Flow estimator of one level: five convolutions, densely connected or not, and a linear head.

    Input: float `[N, h, w, C]`. Output: (features, flow of this level divided by `FLOW_DIVISOR`).
    """

    def __init__(self, filters, dense, data_format="channels_last", **kwargs):
        super().__init__(**kwargs)
        self.dense = dense
        self.data_format = data_format
        self.convs = [
            _ConvLeaky(n, data_format=data_format, dtype=self.dtype_policy, name=f"conv_{i}")
            for i, n in enumerate(filters)
        ]
        self.head = _flow_head(data_format)

    def call(self, x):
        """Return (features, flow)."""
        for conv in self.convs:
            y = conv(x)
            x = concat_channels([y, x], self.data_format) if self.dense else y
        return x, self.head(x)


class ContextNetwork(layers.Layer):
    """Refinement of a flow by dilated convolutions (PWC-Net, section 3, "Context network")."""

    def __init__(self, filters, data_format="channels_last", **kwargs):
        super().__init__(**kwargs)
        self.convs = [
            _ConvLeaky(n, dilation=rate, data_format=data_format, dtype=self.dtype_policy, name=f"conv_{i}")
            for i, (n, rate) in enumerate(zip(filters, CONTEXT_DILATIONS, strict=True))
        ]
        self.head = _flow_head(data_format)

    def call(self, x):
        """Return the correction to the flow, divided by `FLOW_DIVISOR`."""
        for conv in self.convs:
            x = conv(x)
        return self.head(x)


def _flow_head(data_format):
    # Flow stays in float32 under mixed precision: eight bits of mantissa are 0.04 px at a flow of 10 px.
    return layers.Conv2D(
        2,
        3,
        padding="same",
        data_format=data_format,
        kernel_initializer=_small_normal(),
        dtype="float32",
        name="head",
    )


def _small_normal():
    # The heads start near zero flow, from which every level is a correction of the one above.
    return keras.initializers.RandomNormal(stddev=1e-3)


@keras.saving.register_keras_serializable("flowtell")
class PWCNet(keras.Model):
    """PWC-Net: from two images to flow at levels 6 to 2.

    `call(image1, image2)` takes float `[N, H, W, 3]` RGB in [0, 255] (or `[N, 3, H, W]`), H and W multiples
    of 64, and returns the flows of levels 6, 5, 4, 3, 2, each `[N, H/2**l, W/2**l, 2]` in pixels of the full
    size divided by `FLOW_DIVISOR`. `encode` and `decode` are its halves, for those who share a frame between
    two pairs.

    Args:
        config: the widths and connections.
        data_format: `"channels_last"` or `"channels_first"`; the weights are the same for both.
        warp: what `Warp.implementation` is to be; None for the layer's own.
    """

    def __init__(self, config, data_format="channels_last", warp=None, **kwargs):
        super().__init__(**kwargs)
        self.config = config
        self.data_format = data_format
        policy = self.dtype_policy
        self.pyramid = FeaturePyramid(config.pyramid_filters, data_format, dtype=policy, name="pyramid")
        self.cost_volume = CostVolume(config.max_displacement, data_format, dtype=policy, name="cost_volume")
        self.warp = Warp(data_format, warp, name="warp")
        levels = range(6, 1, -1)
        self.decoders = [
            FlowDecoder(
                config.decoder_filters, config.dense, data_format, dtype=policy, name=f"decoder_{level}"
            )
            for level in levels
        ]
        self.upsample_flow = [self._upsampler(f"upsample_flow_{level}") for level in levels[:-1]]
        self.upsample_features = [self._upsampler(f"upsample_features_{level}") for level in levels[:-1]]
        self.context = ContextNetwork(config.context_filters, data_format, dtype=policy, name="context")

    def _upsampler(self, name):
        return layers.Conv2DTranspose(
            2,
            4,
            strides=2,
            padding="same",
            data_format=self.data_format,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.05),
            dtype="float32",
            name=name,
        )

    def encode(self, images):
        """Return the feature pyramid (levels 1 to 6) of float RGB images in [0, 255]."""
        return self.pyramid(images * (1.0 / 255.0))

    def decode(self, pyramid1, pyramid2):
        """Return the flows of levels 6 to 2, divided by `FLOW_DIVISOR`, from two feature pyramids."""
        flows = []
        flow = features = None
        for index, decoder in enumerate(self.decoders):
            level = 6 - index
            features1, features2 = pyramid1[level - 1], pyramid2[level - 1]
            if flow is None:
                x = self._match(features1, features2)
            else:
                up_flow = self.upsample_flow[index - 1](flow)
                up_features = self.upsample_features[index - 1](features)
                # Flow in pixels of this level: 20 (the divisor) over 2**level.
                warped = self.warp(features2, up_flow * (FLOW_DIVISOR / 2**level))
                cost = self._match(features1, warped)
                # The parts may differ in precision while training; the widest is kept.
                x = concat_channels(_same_dtype([cost, features1, up_flow, up_features]), self.data_format)
            features, flow = decoder(x)
            if level == 2:
                flow = flow + self.context(features)
            flows.append(flow)
        return flows

    def _match(self, features1, features2):
        if self.config.normalise_features:
            features1, features2 = (_normalised(f, self.data_format) for f in (features1, features2))
        return ops.leaky_relu(self.cost_volume(features1, features2), negative_slope=LEAKY_SLOPE)

    def call(self, image1, image2):
        """Return the flows of levels 6 to 2; see the class."""
        return self.decode(self.encode(image1), self.encode(image2))

    def get_config(self):
        """Return the arguments that rebuild the model."""
        return super().get_config() | {"config": self.config.to_dict(), "data_format": self.data_format}

    @classmethod
    def from_config(cls, config):
        """Rebuild from `get_config`."""
        return cls(**config | {"config": FlowNetworkConfig.from_dict(config["config"])})


def _normalised(features, data_format):
    """Return features centred in each channel and scaled to a variance of one in each image."""
    features = ops.cast(features, "float32")
    channel = channel_axis(data_format)
    mean = ops.mean(features, axis=tuple(a for a in (1, 2, 3) if a != channel), keepdims=True)
    square = ops.mean(ops.square(features), axis=(1, 2, 3), keepdims=True)
    variance = square - ops.mean(ops.square(mean), axis=channel, keepdims=True)
    # Features of a flat image have no variance at all: the floor keeps their rounding errors from being
    # blown up.
    scale = ops.rsqrt(ops.maximum(variance, 1e-6))
    return features * scale - mean * scale


def _same_dtype(tensors):
    dtypes = {keras.backend.standardize_dtype(t.dtype) for t in tensors}
    return [ops.cast(t, "float32") for t in tensors] if len(dtypes) > 1 else tensors


def build_flow_network(config="small", data_format="channels_last", warp=None, dtype=None):
    """Build a PWC-Net with its weights created.

    Args:
        config: a `FlowNetworkConfig`, or the name of one of `FLOW_PRESETS` (`full` is the paper's, 9,374,274
            parameters).
        data_format: `"channels_last"` (runs everywhere) or `"channels_first"`.
        warp: replaces `Warp.implementation`; for exporters.
        dtype: a Keras dtype policy, such as `"mixed_bfloat16"`; None for the global one.

    Raises:
        ValueError: if `config` names no preset.
    """
    if isinstance(config, str):
        if config not in FLOW_PRESETS:
            raise ValueError(f"no flow preset {config!r}; there are {', '.join(sorted(FLOW_PRESETS))}")
        config = FLOW_PRESETS[config]
    model = PWCNet(config, data_format, warp, dtype=dtype, name="pwcnet")
    shape = (1, 64, 64, 3) if data_format == "channels_last" else (1, 3, 64, 64)
    image = keras.KerasTensor(shape, dtype="float32")
    model(image, image)
    return model
