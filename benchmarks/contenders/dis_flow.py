"""A flow that costs nearly nothing, OpenCV's DIS, before the same classifier."""

from itertools import pairwise

import numpy as np

from flowtell.benchmarks.contenders import MissingError, mean_output
from flowtell.benchmarks.runtimes import onnxruntime_session

NAME = "DIS flow, our classifier"
SUMMARY = (
    "OpenCV's DIS (medium) at full size, reduced to a quarter, its remap for what that does not explain, "
    "then the plain classifier in ONNX Runtime"
)
SAME_OUTPUT = False


def open_contender(arena):
    """Return the judging function; see the package."""
    try:
        import cv2
    except ImportError as error:
        raise MissingError("it needs: pip install 'opencv-python-headless<5'") from error
    from flowtell.training.models import motion_channels

    classifier = onnxruntime_session(arena.plain_graphs[1], arena.threads)
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    has_residual = motion_channels(arena.models.settings.flow_encoding) == 3

    def judge(clips):
        cv2.setNumThreads(arena.threads)
        outputs = []
        for clip in clips:
            grey = [cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY) for frame in clip]
            side = clip.shape[1] // 4
            small = [
                cv2.resize(g.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA) for g in grey
            ]
            motion = []
            for (first, second), luma in zip(pairwise(grey), pairwise(small), strict=True):
                moved = cv2.resize(flow.calc(first, second, None), (side, side), interpolation=cv2.INTER_AREA)
                motion.append(np.dstack([moved, _residual(cv2, moved, *luma)]) if has_residual else moved)
            outputs.append(mean_output(classifier.run(None, {"flow": np.stack(motion)})[0]))
        return outputs

    return judge


def _residual(cv2, flow, luma1, luma2):
    """Return what flow `[S/4, S/4, 2]` in px of the crop does not explain, float32 `[S/4, S/4]` in levels."""
    y, x = np.mgrid[: len(flow), : len(flow)].astype(np.float32)
    place = x + flow[..., 0] / 4, y + flow[..., 1] / 4
    moved, inside = (cv2.remap(plane, *place, cv2.INTER_LINEAR) for plane in (luma2, np.ones_like(luma2)))
    return moved - inside * luma1
