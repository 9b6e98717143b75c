"""The whole chain as one model: face clips in, logits and flow out."""

import keras
from keras import ops

from flowtell.training.models._layout import concat_channels
from flowtell.training.models.flow_image import FlowImage, motion_channels
from flowtell.training.models.pwcnet import FLOW_DIVISOR
from flowtell.training.models.residual import Residual, quarter_luma

__all__ = ["FlowDetector", "build_detector"]


class FlowDetector(keras.Model):
    """PWC-Net, flow image and classifier over face clips.

    `call(clips)` takes uint8 `[B, T+1, S, S, 3]` RGB and returns a dict: `pair_logits` float32 `[B, T]`,
    `clip_logit` float32 `[B]` (of the temporal head, or the mean of the pairs' where there is none) and
    `flow` float32 `[B, T, S/4, S/4, 2]` in px of the crop. Each frame is encoded once. Logits are divided by
    the calibration temperature. `step` takes one pair at a time.

    Args:
        network: a `PWCNet`.
        classifier: a `FlowClassifier` of the same `data_format`.
        encoding: of the flow image.
        crop_size: S, a multiple of 64.
        temperature: calibration temperature.
        clip_head: a `ClipLSTM` over the pairs of a clip, or None.

    Raises:
        ValueError: if S is no multiple of 64 or the layouts differ.
    """

    def __init__(self, network, classifier, encoding, crop_size, temperature=1.0, clip_head=None, **kwargs):
        super().__init__(**kwargs)
        if crop_size % 64:
            raise ValueError(f"crop_size must be a multiple of 64 (six halvings), not {crop_size}")
        if network.data_format != classifier.data_format:
            raise ValueError("the flow network and the classifier must have the same data_format")
        self.network, self.classifier, self.clip_head = network, classifier, clip_head
        self.residual = None
        if motion_channels(encoding) == 3:
            self.residual = Residual(network.warp, network.data_format, name="residual")
        self.flow_image = FlowImage(encoding, network.data_format, name="flow_image")
        self.crop_size, self.temperature = crop_size, temperature

    def call(self, clips):
        """Return the dict of outputs; see the class."""
        size = self.crop_size
        pairs = ops.shape(clips)[1] - 1
        frames = ops.cast(ops.reshape(clips, (-1, size, size, 3)), "float32")
        if self.network.data_format == "channels_first":
            frames = ops.transpose(frames, (0, 3, 1, 2))
        levels = [_neighbours(features, pairs) for features in self.network.encode(frames)]
        flow = self.network.decode(*map(list, zip(*levels, strict=True)))[-1] * FLOW_DIVISOR
        images = self.flow_image(self._motion(flow, frames, lambda luma: _neighbours(luma, pairs)))
        # the classifier's steps are called one by one, and its name must still stand before theirs in a graph
        with keras.name_scope(self.classifier.name):
            hidden = self._hidden_features(images)
            logits = self.classifier.judge_hidden(hidden)
        pair_logits = ops.reshape(self._calibrated(logits), (-1, pairs))
        if self.network.data_format == "channels_first":
            flow = ops.transpose(flow, (0, 2, 3, 1))
        if self.clip_head is None:
            clip_logit = ops.mean(pair_logits, axis=1)
        else:
            by_clip = ops.reshape(hidden, (-1, pairs, self.classifier.hidden_width))
            clip_logit = self._calibrated(self.clip_head(by_clip))
        return {
            "pair_logits": pair_logits,
            "clip_logit": clip_logit,
            "flow": ops.reshape(flow, (-1, pairs, size // 4, size // 4, 2)),
        }

    def initial_state(self, batch):
        """Return what `step` needs before a clip's first pair.

        Raises:
            ValueError: where there is no temporal head.
        """
        if self.clip_head is None:
            raise ValueError("only a model with a temporal head keeps a state: train a cnn_lstm")
        return self.clip_head.initial_state(batch)

    def step(self, pair, state):
        """Judge one more pair of each clip; `channels_last` models only.

        Args:
            pair: uint8 `[B, 2, S, S, 3]` RGB; its first frame is the last one of the pair before.
            state: from `initial_state` or the last `step`.

        Returns:
            (clip logits `[B]` of what has been seen so far, the new state).
        """
        first, second = (ops.cast(pair[:, k], "float32") for k in (0, 1))
        flow = self.network(first, second)[-1] * FLOW_DIVISOR
        motion = self._motion(flow, ops.concatenate([first, second]), lambda luma: ops.split(luma, 2))
        hidden = self._hidden_features(self.flow_image(motion))
        logits, state = self.clip_head.step(hidden, state)
        return self._calibrated(logits), state

    def _motion(self, flow, frames, of_pairs):
        """Return what the flow image shows, as `seen_motion` does, in the network's layout.

        Args:
            flow: of pairs, float `[N, S/4, S/4, 2]` in px (or channels first).
            frames: float `[M, S, S, 3]` RGB in [0, 255] (or channels first), whose luma is computed once.
            of_pairs: from values of the frames `[M, ...]` to those of the first and of the second frame of
                each pair, `[N, ...]` each.
        """
        if self.residual is None:
            return flow
        luma = of_pairs(quarter_luma(frames, self.network.data_format))
        return concat_channels([flow, self.residual(flow, *luma)], self.network.data_format)

    def _hidden_features(self, images):
        frozen = self.classifier.frozen_features(images)
        return self.classifier.hidden_features(self.classifier.flat_features(frozen))

    def _calibrated(self, logits):
        return logits * (1.0 / self.temperature)


def _neighbours(values, pairs):
    """Return the first and the second of each pair, `[B T, ...]` each, of values `[B (T+1), ...]`."""
    shape = tuple(values.shape[1:])
    by_clip = ops.reshape(values, (-1, pairs + 1, *shape))
    return tuple(ops.reshape(part, (-1, *shape)) for part in (by_clip[:, :-1], by_clip[:, 1:]))


def build_detector(network, classifier, encoding, crop_size=256, temperature=1.0, clip_head=None):
    """Join a flow network, a classifier and maybe a temporal head; arguments as for `FlowDetector`."""
    return FlowDetector(network, classifier, encoding, crop_size, temperature, clip_head, name="detector")
