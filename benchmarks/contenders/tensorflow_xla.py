"""The fused Keras model compiled by XLA."""

from flowtell.benchmarks.contenders import MissingError, mean_output

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
    step = tf.function(lambda clips: model(clips)["pair_logits"], jit_compile=True)

    def judge(clips):
        return [mean_output(step(tf.constant(clip[None])).numpy()) for clip in clips]

    return judge
