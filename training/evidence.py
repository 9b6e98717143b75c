"""How much a video must show: the default detector's own verdicts, given fewer pairs or smaller faces.

Nothing is fitted again. What a file must show at least before it gets a verdict is decided by these figures.
"""

import cv2
import numpy as np

from flowtell.training._spread import evenly_spread

__all__ = ["first_half", "of_fewer_pairs", "smaller_faces"]


def of_fewer_pairs(features, count):
    """Return the features of `count` clips of a video, evenly spread over those it has.

    Args:
        features: `[clips, D]`.
        count: at least 1.
    """
    return features[evenly_spread(len(features), count)]


def first_half(prepared, position):
    """Return the flow of the first half of each clip's pairs: what `smaller_faces` is compared with."""
    return prepared.flow(position)[:, : prepared.pairs_per_clip // 2]


def smaller_faces(face_px, crop_margin):
    """Return what makes a video's crops such as if its faces had been filmed so small.

    Crops are shrunk by the mean over what a pixel covers, as a farther camera would, and enlarged again, as
    cropping does. Faces that are smaller already stay as they are.

    Args:
        face_px: longer side of a face.
        crop_margin: side of a crop over the longer side of its face.

    Returns:
        function of (`PreparedSet`, position) to crops uint8 `[clips, T / 2 + 1, S, S, 3]`, the first half of
        each clip: flow is dear.
    """

    def change(prepared, position):
        side_px = round(face_px * crop_margin)
        boxes = [clip["box"][2] for clip in prepared.entry(position)["clips"]]
        frames = prepared.clips(position)[:, : prepared.pairs_per_clip // 2 + 1]
        return np.stack(
            [
                np.stack([_shrunk(frame, side_px) for frame in clip]) if box > side_px else clip
                for clip, box in zip(frames, boxes, strict=True)
            ]
        )

    return change


def _shrunk(frame, side_px):
    side = frame.shape[0]
    if side_px >= side:
        return frame
    small = cv2.resize(frame, (side_px, side_px), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR)
