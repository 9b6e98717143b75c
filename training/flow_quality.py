"""How good a flow network is: against ground truth, and against a stronger network on faces."""

from pathlib import Path

import cv2
import keras
import numpy as np

from flowtell import InputError
from flowtell.training.flow_batches import quarter_size
from flowtell.training.flow_loss import epe, fl_all

__all__ = ["flow_of_any_size", "middlebury_errors", "official_distance", "read_flo", "teacher_distance"]

# The tag of a .flo file: the float 202021.25, which spells PIEH (Middlebury, flow-code README).
_FLO_TAG = b"PIEH"
# Middlebury marks an unknown flow by values above this.
_UNKNOWN = 1e9
_SIZE_STEP_PX = 64


def read_flo(path):
    """Read a Middlebury `.flo` file.

    Returns:
        (flow, known): float32 `[H, W, 2]` in px, and bool `[H, W]`.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is no `.flo` file or cut short.
    """
    data = Path(path).read_bytes()
    if data[:4] != _FLO_TAG or len(data) < 12:
        raise ValueError(f"{Path(path).name} is no .flo file")
    width, height = (int(n) for n in np.frombuffer(data, "<i4", 2, 4))
    if width < 1 or height < 1 or len(data) < 12 + 8 * width * height:
        raise ValueError(f"{Path(path).name} is cut short: it states {width}x{height} px")
    flow = np.frombuffer(data, "<f4", 2 * width * height, 12).reshape(height, width, 2)
    return flow, (np.abs(flow) < _UNKNOWN).all(-1)


def flow_of_any_size(step, image1, image2):
    """Return the flow at full size, padded to multiples of 64 by repeating the border and cut back.

    Args:
        step: from `flow_step`.
        image1: uint8 `[H, W, 3]` RGB.
        image2: the same.

    Returns:
        float32 `[H, W, 2]` in px.
    """
    height, width = image1.shape[:2]
    pad = ((0, -height % _SIZE_STEP_PX), (0, -width % _SIZE_STEP_PX), (0, 0))
    padded = (np.pad(i, pad, mode="edge")[None].astype(np.float32) for i in (image1, image2))
    quarter = keras.ops.convert_to_numpy(step(*padded))[0]
    return cv2.resize(quarter, None, fx=4, fy=4, interpolation=cv2.INTER_LINEAR)[:height, :width]


def middlebury_errors(step, folder):
    """Return `epe` in px and `fl_all` in % of each pair: a folder of frame10.png, frame11.png, flow10.flo.

    Args:
        step: from `flow_step`, of the network.
        folder: of the pairs' folders.

    Raises:
        InputError: there is no such folder, or a file of a pair is missing, unreadable or of another size.
    """
    errors = {}
    for truth_path in sorted(Path(folder).glob("*/flow10.flo")):
        truth, known = _truth(truth_path)
        images = [_frame(truth_path.with_name(f"frame1{k}.png"), truth) for k in (0, 1)]
        flow = flow_of_any_size(step, *(i[..., ::-1] for i in images))
        errors[truth_path.parent.name] = {
            "epe": epe(flow, truth, known),
            "fl_all": fl_all(flow, truth, known),
        }
    if not errors:
        raise InputError(f"there is no */flow10.flo in '{folder}'")
    return errors


def _truth(path):
    try:
        truth, known = read_flo(path)
    except ValueError as error:
        raise InputError(f"in '{path.parent}' {error}: get the pair again") from error
    if not known.any():
        raise InputError(f"'{path}' knows the flow of no pixel: get the pair again")
    return truth, known


def _frame(path, truth):
    # asked before, since OpenCV prints a warning of its own
    image = cv2.imread(str(path)) if path.is_file() else None
    if image is None:
        raise InputError(f"there is no picture '{path}', or it cannot be read: get the pair again")
    if image.shape[:2] != truth.shape[:2]:
        sizes = " and ".join(f"{a.shape[1]}x{a.shape[0]}" for a in (image, truth))
        raise InputError(f"'{path}' and its flow10.flo are of {sizes} px: get the pair again")
    return image


def official_distance(step, folder):
    """Return how far a network is from the authors' own PWC-Net, mean end-point error in px.

    Args:
        step: from `flow_step`, of the network.
        folder: of `frame_0010.png`, `frame_0011.png` and `official_pwcnet_flow.flo`, a pair of MPI Sintel.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: as `read_flo`.
    """
    folder = Path(folder)
    theirs, known = read_flo(folder / "official_pwcnet_flow.flo")
    images = [cv2.imread(str(folder / f"frame_001{k}.png")) for k in (0, 1)]
    if any(image is None for image in images):
        raise FileNotFoundError(f"'{folder}' lacks frame_0010.png or frame_0011.png")
    return epe(flow_of_any_size(step, *(i[..., ::-1] for i in images)), theirs, known)


def teacher_distance(step, pairs, batch_size=8):
    """Return how far a network is from its teacher on pairs it was not taught.

    Args:
        step: from `flow_step`, of the network.
        pairs: a `TeacherPairs`.
        batch_size: pairs at once.

    Returns:
        dict: `epe` and `epe_of_zero_flow`, mean over the pairs in px, at a quarter of their size.
    """
    teacher = quarter_size(pairs.flow.astype(np.float32))
    frames = pairs.frames.astype(np.float32)
    flow = np.concatenate(
        [
            keras.ops.convert_to_numpy(step(frames[i : i + batch_size, 0], frames[i : i + batch_size, 1]))
            for i in range(0, len(frames), batch_size)
        ]
    )
    return {"epe": epe(flow, teacher), "epe_of_zero_flow": epe(np.zeros_like(teacher), teacher)}
