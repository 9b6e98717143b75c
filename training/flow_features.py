"""What the frozen part of the chain makes of face clips, computed once: flow, then frozen VGG16 features."""

import keras
import numpy as np

from flowtell.training.models import FLOW_DIVISOR, FlowImage

__all__ = ["clip_flow", "frozen_features", "mirrored_flow"]


def clip_flow(network, frames, batch_pairs=16):
    """Return the flow between the consecutive frames of clips.

    Args:
        network: a `PWCNet`, `channels_last`.
        frames: uint8 `[N, T+1, S, S, 3]` RGB.
        batch_pairs: pairs at once.

    Returns:
        float16 `[N, T, S/4, S/4, 2]` in px of the crop.
    """
    clips, length = frames.shape[:2]
    first = frames[:, :-1].reshape(-1, *frames.shape[2:])
    second = frames[:, 1:].reshape(-1, *frames.shape[2:])
    step = _compiled(lambda a, b: network(a, b)[-1] * FLOW_DIVISOR)
    flows = [
        np.asarray(step(*(x[i : i + batch_pairs].astype(np.float32) for x in (first, second))), np.float16)
        for i in range(0, len(first), batch_pairs)
    ]
    flow = np.concatenate(flows)
    return flow.reshape(clips, length - 1, *flow.shape[1:])


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
