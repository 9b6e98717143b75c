"""The fused Keras model compiled by XLA."""

from flowtell.benchmarks.contenders import MissingError, model_output

NAME = "TensorFlow, XLA"
SUMMARY = "the fused Keras model as one tf.function, compiled by XLA, one clip a call"
SAME_OUTPUT = True


def open_contender(arena):
    """Return the judging function; see the package."""
    import keras

    if keras.backend.backend() != "tensorflow":
        raise MissingError(f"Keras runs on {keras.backend.backend()}: set KERAS_BACKEND=tensorflow")
    import tensorflow as tf

    model = arena.models.detector()

    def logits(clips):
        judged = model(clips)
        return {name: judged[name] for name in ("pair_logits", "clip_logit")}

    step = tf.function(logits, jit_compile=True)

    def judge(clips):
        return [model_output(step(tf.constant(clip[None]))) for clip in clips]

    return judge
