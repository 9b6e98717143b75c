"""An LSTM over a clip's pairs: fitted to few videos, and judging people it never saw."""

import keras

from flowtell.training.judge_task import JudgeTask
from flowtell.training.linear_judge import people_left_out

__all__ = ["held_out_lstm_logits"]


def held_out_lstm_logits(settings, prepared, cache, imagenet):
    """Judge every video by a classifier with an LSTM that was fitted without a person in it.

    Each is trained for the steps of the settings, and as it then is it judges: nothing of the people left
    out says when to stop.

    Args:
        settings: a `ClipLSTMSettings`.
        prepared: a `PreparedSet` with flow.
        cache: folder of the features of its frozen blocks, see `FeatureCache`.
        imagenet: path of VGG16's weights.

    Returns:
        position to the logits of its clips, float32 `[clips]`.
    """
    logits = {}
    for _, train, left_out in people_left_out(prepared.videos):
        task = JudgeTask(settings, prepared, {"train": train, "validation": left_out}, cache, imagenet)
        fit = settings.fit
        task.model.compile(keras.optimizers.Adam(fit.learning_rate, clipnorm=fit.clip_norm))
        for step in range(fit.last_step):
            task.model.train_on_batch(*task.batch(step))
        logits |= {position: task.judge(position)[0] for position in left_out}
        keras.backend.clear_session()
    return logits
