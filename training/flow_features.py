"""What the frozen part of the chain makes of face crops, computed once: flow, then frozen VGG16 features."""

import keras
import numpy as np

from flowtell.training.models import FLOW_DIVISOR, FlowImage

__all__ = [
    "feature_step",
    "flow_step",
    "frozen_features",
    "in_batches",
    "mirrored_motion",
    "pair_flow",
]


def flow_step(network):
    """Return a function of two float32 image batches that gives the network's flow in px, compiled once."""
    return _compiled(lambda image1, image2: network(image1, image2)[-1] * FLOW_DIVISOR)


def pair_flow(step, image1, image2, batch_size=16):
    """Return the flow from one image of each pair to the other.

    Args:
        step: from `flow_step`, of a `channels_last` network.
        image1: uint8 `[N, S, S, 3]` RGB.
        image2: the same.
        batch_size: pairs at once.

    Returns:
        float16 `[N, S/4, S/4, 2]` in px of the images.
    """
    return in_batches(step, (image1, image2), batch_size, np.float16)


def mirrored_motion(motion):
    """Return the motion of the mirrored frames: reversed in x, with u negated.

    Args:
        motion: float `[..., H, W, C]`: u and v in px, and maybe the residual in levels.

    Returns:
        the same in shape and dtype.
    """
    signs = np.ones(motion.shape[-1], motion.dtype)
    signs[0] = -1
    return motion[..., ::-1, :] * signs


def feature_step(classifier, encoding):
    """Return a function of a float32 batch of motion that gives frozen features, compiled once.

    Args:
        classifier: a `FlowClassifier`, `channels_last`.
        encoding: of the flow image.
    """
    image = FlowImage(encoding)
    return _compiled(lambda motion: classifier.frozen_features(image(motion)))


def frozen_features(step, motion, batch_size=32):
    """Return what the frozen blocks of a classifier make of motion.

    Args:
        step: from `feature_step`.
        motion: float `[N, H, W, C]`, what the flow image shows: see `seen_motion`.
        batch_size: images at once.

    Returns:
        float16 `[N, h, w, C]`.
    """
    return in_batches(step, (motion,), batch_size, np.float16)


def in_batches(step, arrays, batch_size, dtype):
    """Run a step over batches of one size, the last one filled up, so that it is compiled for one shape.

    Args:
        step: function of float32 batches that gives one batch.
        arrays: what it takes, each `[N, ...]`, N at least 1.
        batch_size: examples at once.
        dtype: of the result.
    """
    parts = []
    for start in range(0, len(arrays[0]), batch_size):
        batch = [a[start : start + batch_size].astype(np.float32) for a in arrays]
        count = len(batch[0])
        filled = [np.concatenate([b, np.repeat(b[-1:], batch_size - count, axis=0)]) for b in batch]
        parts.append(keras.ops.convert_to_numpy(step(*filled)).astype(dtype)[:count])
    return np.concatenate(parts)


def _compiled(function):
    # The other backends run it as it is.
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function)
    return function
