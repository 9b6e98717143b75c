"""What the frozen part of the chain makes of face crops, computed once: flow, then frozen VGG16 features."""

import keras
import numpy as np

from flowtell.training.models import FLOW_DIVISOR, FlowImage

__all__ = ["frozen_features", "mirrored_flow", "pair_flow"]


def pair_flow(network, image1, image2, batch_size=16):
    """Return the flow from one image of each pair to the other.

    Args:
        network: a `PWCNet`, `channels_last`.
        image1: uint8 `[N, S, S, 3]` RGB.
        image2: the same.
        batch_size: pairs at once.

    Returns:
        float16 `[N, S/4, S/4, 2]` in px of the images.
    """
    step = _compiled(lambda a, b: network(a, b)[-1] * FLOW_DIVISOR)
    parts = [
        np.asarray(step(*(x[i : i + batch_size].astype(np.float32) for x in (image1, image2))), np.float16)
        for i in range(0, len(image1), batch_size)
    ]
    return np.concatenate(parts)


def mirrored_flow(flow):
    """Return the flow of the mirrored frames: float `[..., H, W, 2]`, reversed in x, with u negated."""
    return flow[..., ::-1, :] * np.asarray([-1, 1], flow.dtype)


def frozen_features(classifier, encoding, flow, batch_size=32):
    """Return what the frozen blocks of a classifier make of flow.

    Args:
        classifier: a `FlowClassifier`, `channels_last`.
        encoding: of the flow image.
        flow: float `[N, H, W, 2]` in px.
        batch_size: images at once.

    Returns:
        float16 `[N, h, w, C]`.
    """
    image = FlowImage(encoding)
    step = _compiled(lambda x: classifier.frozen_features(image(x)))
    parts = [
        np.asarray(step(flow[i : i + batch_size].astype(np.float32)), np.float16)
        for i in range(0, len(flow), batch_size)
    ]
    return np.concatenate(parts)


def _compiled(function):
    # The other backends run eagerly, which PyTorch does as fast and JAX compiles op by op.
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, reduce_retracing=True)
    return function
