"""crop.onnx against a plain NumPy definition: edge repetition, triangle filter, rounding half up."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from frame_boxes import BOXES
from tolerances import TOLERANCES

from flowtell.export.crop_graph import crop_graph

S = 64


@pytest.fixture(scope="module")
def session():
    return onnxruntime.InferenceSession(crop_graph(S).SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def frame():
    return np.random.default_rng(0).integers(0, 256, (180, 321, 3), dtype=np.uint8)


def cut(session, frame, box):
    return session.run(["crop"], {"frame": frame, "box": np.array(box, np.int64)})[0]


def boxed(frame, box):
    """The box's pixels, the frame's edge repeated for ever: by indexing, which the graph does not use."""
    x, y, width, height = box
    rows = np.clip(np.arange(y, y + height), 0, frame.shape[0] - 1)
    columns = np.clip(np.arange(x, x + width), 0, frame.shape[1] - 1)
    return frame[rows][:, columns]


def filter_matrix(source, target):
    scale = source / target
    centres = (np.arange(target) + 0.5) * scale
    distance = np.abs(np.arange(source) + 0.5 - centres[:, None]) / max(scale, 1.0)
    weights = np.maximum(0, 1 - distance)
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("box", BOXES)
def test_agrees_with_the_definition(session, frame, box):
    crop = cut(session, frame, box)
    pixels = boxed(frame, box).astype(np.float64)
    rows, columns = filter_matrix(box[3], S), filter_matrix(box[2], S)
    exact = np.einsum("ij,jkc,lk->ilc", rows, pixels, columns)
    # Rounded half up: whoever is not within rounding error of a half is exactly right.
    assert np.abs(crop - exact).max() <= 0.5 + TOLERANCES["crop_levels"].value
    assert crop.shape == (S, S, 3)


def test_a_box_of_the_crop_size_is_copied(session, frame):
    crop = cut(session, frame, (100, 50, S, S))
    np.testing.assert_array_equal(crop, frame[50 : 50 + S, 100 : 100 + S])


def test_shrinking_does_not_alias(session):
    """Stripes too fine for the crop become even grey, not coarse stripes that seem to move."""
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    crop = cut(session, stripes, (0, 0, 256, 256))
    inner = crop[:, 2:-2].astype(int)
    assert inner.max() - inner.min() <= 1


@pytest.mark.parametrize("size", [(1, 1), (64, 64), (2161, 3841)])
def test_any_frame_size_runs(session, size):
    frame = np.full((*size, 3), 7, np.uint8)
    assert (cut(session, frame, (-2, -2, 66, 66)) == 7).all()


@pytest.mark.parametrize("size", [0, -64, 100])
def test_refuses_a_size_that_the_network_cannot_halve(size):
    with pytest.raises(ValueError, match="multiple of 64"):
        crop_graph(size)
