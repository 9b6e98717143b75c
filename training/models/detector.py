"""The whole chain as one model: face clips in, logits and flow out."""

import keras
from keras import ops

from flowtell.training.models.flow_image import FlowImage
from flowtell.training.models.pwcnet import FLOW_DIVISOR

__all__ = ["FlowDetector", "build_detector"]


class FlowDetector(keras.Model):
    """PWC-Net, flow image and classifier over face clips.

    `call(clips)` takes uint8 `[B, T+1, S, S, 3]` RGB and returns a dict: `pair_logits` float32 `[B, T]`,
    `clip_logit` float32 `[B]` (their mean) and `flow` float32 `[B, T, S/4, S/4, 2]` in px of the crop. Each
    frame is encoded once. Logits are divided by the calibration temperature.

    Args:
        network: a `PWCNet`.
        classifier: a `FlowClassifier` of the same `data_format`.
        encoding: of the flow image.
        crop_size: S, a multiple of 64.
        temperature: calibration temperature.

    Raises:
        ValueError: if S is no multiple of 64 or the layouts differ.
    """

    def __init__(self, network, classifier, encoding, crop_size, temperature=1.0, **kwargs):
        super().__init__(**kwargs)
        if crop_size % 64:
            raise ValueError(f"crop_size must be a multiple of 64 (six halvings), not {crop_size}")
        if network.data_format != classifier.data_format:
            raise ValueError("the flow network and the classifier must have the same data_format")
        self.network, self.classifier = network, classifier
        self.flow_image = FlowImage(encoding, network.data_format, name="flow_image")
        self.crop_size, self.temperature = crop_size, temperature

    def call(self, clips):
        """Return the dict of outputs; see the class."""
        size = self.crop_size
        pairs = ops.shape(clips)[1] - 1
        frames = ops.cast(ops.reshape(clips, (-1, size, size, 3)), "float32")
        if self.network.data_format == "channels_first":
            frames = ops.transpose(frames, (0, 3, 1, 2))
        pyramid = self.network.encode(frames)
        first, second = [], []
        for features in pyramid:
            shape = tuple(features.shape[1:])
            by_clip = ops.reshape(features, (-1, pairs + 1, *shape))
            first.append(ops.reshape(by_clip[:, :-1], (-1, *shape)))
            second.append(ops.reshape(by_clip[:, 1:], (-1, *shape)))
        flow = self.network.decode(first, second)[-1] * FLOW_DIVISOR
        logits = self.classifier(self.flow_image(flow)) * (1.0 / self.temperature)
        if self.network.data_format == "channels_first":
            flow = ops.transpose(flow, (0, 2, 3, 1))
        pair_logits = ops.reshape(logits, (-1, pairs))
        return {
            "pair_logits": pair_logits,
            "clip_logit": ops.mean(pair_logits, axis=1),
            "flow": ops.reshape(flow, (-1, pairs, size // 4, size // 4, 2)),
        }


def build_detector(network, classifier, encoding, crop_size=256, temperature=1.0):
    """Join a flow network and a classifier; arguments and errors as for `FlowDetector`."""
    return FlowDetector(network, classifier, encoding, crop_size, temperature, name="detector")
