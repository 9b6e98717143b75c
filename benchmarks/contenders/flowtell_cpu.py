"""The engine: the fused `detector.onnx`, one clip a call, as many calls at a time as there are threads."""

import numpy as np

import flowtell

NAME = "flowtell"
SUMMARY = "the engine, detector.onnx on the cpu provider, float32"
SAME_OUTPUT = True


def open_contender(arena):
    """Return the judging function; see the package."""
    detector = flowtell.Detector.open(arena.bundle, provider="cpu", threads=arena.threads)

    def judge(clips):
        scores = detector.score_clips(np.stack(clips))
        return [
            np.append(pairs, clip) for pairs, clip in zip(scores.pair_logits, scores.clip_logits, strict=True)
        ]

    return judge
