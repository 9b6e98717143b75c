"""A flow that costs nearly nothing, OpenCV's DIS, before the same classifier."""

from itertools import pairwise

import numpy as np

from flowtell.benchmarks.contenders import MissingError, mean_output
from flowtell.benchmarks.runtimes import onnxruntime_session

NAME = "DIS flow, our classifier"
SUMMARY = (
    "OpenCV's DIS (medium) at full size, reduced to a quarter, then the plain classifier in ONNX Runtime"
)
SAME_OUTPUT = False


def open_contender(arena):
    """Return the judging function; see the package."""
    try:
        import cv2
    except ImportError as error:
        raise MissingError("it needs: pip install 'opencv-python-headless<5'") from error
    classifier = onnxruntime_session(arena.plain_graphs[1], arena.threads)
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def judge(clips):
        cv2.setNumThreads(arena.threads)
        outputs = []
        for clip in clips:
            grey = [cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY) for frame in clip]
            side = clip.shape[1] // 4
            moved = [
                cv2.resize(flow.calc(first, second, None), (side, side), interpolation=cv2.INTER_AREA)
                for first, second in pairwise(grey)
            ]
            outputs.append(mean_output(classifier.run(None, {"flow": np.stack(moved)})[0]))
        return outputs

    return judge
