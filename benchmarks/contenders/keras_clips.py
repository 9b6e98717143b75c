"""Keras at its best without leaving it: a compiled step on one whole clip, each frame encoded once."""

from flowtell.benchmarks.contenders import model_output

NAME = "Keras, one clip a batch"
SUMMARY = "the fused Keras model, one clip a call through predict_on_batch"
SAME_OUTPUT = True


def open_contender(arena):
    """Return the judging function; see the package."""
    model = arena.models.detector()

    def judge(clips):
        return [model_output(model.predict_on_batch(clip[None])) for clip in clips]

    return judge
