"""MesoNet (Afchar et al., WIFS 2018): a small network on single frames, the cheap detector people know."""

import numpy as np

from flowtell.benchmarks.contenders import MissingError, mean_output

NAME = "MesoNet"
SUMMARY = "Meso4 on each frame of the clip, at 256x256, Keras, one clip a batch; no motion"
SAME_OUTPUT = False

_SIDE_PX = 256


def open_contender(arena):
    """Return the judging function; see the package."""
    if arena.mesonet is None:
        raise MissingError("it needs the published weights: name the file with --mesonet Meso4_DF.h5")
    import keras

    from flowtell.training.mesonet import load_meso4

    model = load_meso4(arena.mesonet)

    def judge(clips):
        outputs = []
        for clip in clips:
            frames = keras.ops.image.resize(clip[:-1].astype(np.float32) / 255, (_SIDE_PX, _SIDE_PX))
            real = np.clip(model.predict_on_batch(frames)[:, 0], 1e-7, 1 - 1e-7)
            # its one output is the probability of a real face
            outputs.append(mean_output(np.log((1 - real) / real)))
        return outputs

    return judge
