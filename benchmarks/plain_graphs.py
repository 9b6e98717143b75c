"""The two networks as tf2onnx converts them, without this project's passes: what a user gets in an afternoon.

The models stay channels_last, warps and cost volumes come out as TensorFlow spells them, each frame is
encoded for both of its pairs, and flow leaves the first graph before it enters the second.
"""

import logging

__all__ = ["plain_graphs"]

_OPSET = 18


def plain_graphs(models):
    """Return `(flow, classifier)`, the bytes of two ONNX files.

    `flow` takes `image1` and `image2`, uint8 `[N, S, S, 3]` RGB, and gives what the flow image shows, float32
    `[N, S/4, S/4, C]`; `classifier` takes that as `flow` and gives logits, float32 `[N]`.

    Args:
        models: `flowtell.export.TrainedModels`.
    """
    import tensorflow as tf

    from flowtell.training.models import FLOW_DIVISOR, FlowImage, motion_channels, seen_motion

    side, settings = models.settings.crop_size, models.settings
    encoding = settings.flow_encoding
    image, channels = FlowImage(encoding), motion_channels(encoding)

    def flow(image1, image2):
        floats = [tf.cast(pixels, tf.float32) for pixels in (image1, image2)]
        return seen_motion(encoding, models.network(*floats)[-1] * FLOW_DIVISOR, *floats)

    def logits(moved):
        return models.classifier(image(moved)) * (1.0 / settings.temperature)

    pixels = [tf.TensorSpec((None, side, side, 3), tf.uint8, name=name) for name in ("image1", "image2")]
    moved = [tf.TensorSpec((None, side // 4, side // 4, channels), tf.float32, name="flow")]
    return _converted(flow, pixels), _converted(logits, moved)


def _converted(function, signature):
    import tensorflow as tf
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    model, _ = tf2onnx.convert.from_function(tf.function(function), signature, opset=_OPSET)
    model.ir_version = 10
    return model.SerializeToString()
