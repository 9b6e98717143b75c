"""cuts.onnx against a plain NumPy definition: tiles, edges, rows that stand for their neighbours."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from frame_boxes import BOXES
from tolerances import TOLERANCES

from flowtell.export.cuts_graph import SIGNATURE_SIDE, cuts_graph


@pytest.fixture(scope="module")
def session():
    return onnxruntime.InferenceSession(cuts_graph().SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def frame():
    return np.random.default_rng(0).integers(0, 256, (180, 321, 3), dtype=np.uint8)


def sign(session, frame, box):
    return session.run(["signature"], {"frame": frame, "box": np.array(box, np.int64)})[0]


def indices(corner, extent, size):
    """Which row of the frame stands for each row of the box: the middle one of every n for these n."""
    step = max(extent // 64, 1)
    first = min(max(corner, 0), size - 1)
    end = max(min(corner + extent, size), first + 1)
    seen = np.arange(first + min(step // 2, end - first - 1), end, step)
    rows = np.arange(corner, corner + extent)
    return seen[np.clip((rows - first) // step, 0, len(seen) - 1)]


def definition(frame, box):
    """The mean of each tile, by repeating every pixel so often that all tiles have a whole number of them."""
    x, y, width, height = box
    rows, columns = indices(y, height, frame.shape[0]), indices(x, width, frame.shape[1])
    by_row = np.repeat(frame[rows][:, columns].astype(np.float64), SIGNATURE_SIDE, axis=0)
    by_row = by_row.reshape(SIGNATURE_SIDE, height, width, 3).mean(axis=1)
    by_column = np.repeat(by_row, SIGNATURE_SIDE, axis=1).reshape(SIGNATURE_SIDE, SIGNATURE_SIDE, width, 3)
    return by_column.mean(axis=2)


@pytest.mark.parametrize("box", BOXES)
def test_agrees_with_the_definition(session, frame, box):
    signature = sign(session, frame, box)
    assert signature.shape == (SIGNATURE_SIDE, SIGNATURE_SIDE, 3)
    # rounded half up: whatever is not within rounding error of a half is exactly right
    assert np.abs(signature - definition(frame, box)).max() <= 0.5 + TOLERANCES["crop_levels"].value


def test_halves_are_rounded_up(session):
    """Half-even would make 0 of the mean of 0 and 1, and 2 of that of 1 and 2."""
    for low in (0, 1, 2):
        stripes = np.full((64, 64, 3), low, np.uint8)
        stripes[::2] += 1
        assert (sign(session, stripes, (0, 0, 64, 64)) == low + 1).all()


@pytest.mark.parametrize("size", [(1, 1), (64, 64), (2161, 3841)])
def test_any_frame_size_runs(session, size):
    assert (sign(session, np.full((*size, 3), 7, np.uint8), (-2, -2, 66, 66)) == 7).all()


def test_a_picture_that_changes_slowly_is_signed_as_if_every_pixel_was_seen(session):
    """What stands for its neighbours is like them: rows and columns that are left out move no tile."""
    ramp = np.linspace(0, 255, 640)
    picture = ((ramp[:, None] + ramp) / 2)[..., None].repeat(3, axis=2).astype(np.uint8)
    tiles = picture.reshape(8, 80, 8, 80, 3).mean(axis=(1, 3))
    assert np.abs(sign(session, picture, (0, 0, 640, 640)) - tiles).max() <= 1
