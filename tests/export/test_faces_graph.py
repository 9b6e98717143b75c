"""faces.onnx: against OpenCV's own YuNet decoder, on a real face, at every size."""

from __future__ import annotations

import cv2
import numpy as np
import onnxruntime
import pytest
import skimage.data
from tolerances import TOLERANCES

from flowtell.export._yunet import yunet_bytes
from flowtell.export.faces_graph import LONGEST_SIDE_PX, faces_graph

THRESHOLD = 0.6


@pytest.fixture(scope="module")
def session():
    model = faces_graph(THRESHOLD).SerializeToString()
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def portrait():
    """A real face: uint8 [512, 512, 3] RGB, the face about 80 px wide."""
    return np.ascontiguousarray(skimage.data.astronaut())


def find(session, frame):
    boxes, scores = session.run(["boxes", "scores"], {"frame": frame})
    assert boxes.dtype == scores.dtype == np.float32
    assert boxes.shape == (len(scores), 4)
    return boxes, scores


def test_agrees_with_opencv(session, portrait, tmp_path):
    path = tmp_path / "yunet.onnx"
    path.write_bytes(yunet_bytes())
    height, width = portrait.shape[:2]
    # An overlap of 1 suppresses nothing: every candidate comes out, best first.
    reference = cv2.FaceDetectorYN_create(str(path), "", (width, height), THRESHOLD, 1.0, 5000)
    _, rows = reference.detect(np.ascontiguousarray(portrait[..., ::-1]))
    boxes, scores = find(session, portrait)
    order = np.argsort(-scores, kind="stable")
    assert len(scores) == len(rows) > 3
    np.testing.assert_allclose(boxes[order], rows[:, :4], atol=TOLERANCES["yunet_box_px"].value)
    np.testing.assert_allclose(scores[order], rows[:, 14], atol=TOLERANCES["yunet_score"].value)


@pytest.mark.parametrize("factor", [0.5, 1.9, 4.0])
def test_boxes_are_in_pixels_of_the_frame(session, portrait, factor):
    boxes, scores = find(session, portrait)
    wanted = boxes[scores.argmax()] * factor
    scaled = cv2.resize(portrait, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    boxes, scores = find(session, scaled)
    side = wanted[2]
    np.testing.assert_allclose(
        boxes[scores.argmax()] / side, wanted / side, atol=TOLERANCES["face_scale"].value
    )


def test_a_face_at_the_right_edge_of_a_wide_frame_is_found_there(session, portrait):
    frame = np.zeros((1080, 1920, 3), np.uint8)
    frame[-512:, -512:] = portrait
    boxes, scores = find(session, frame)
    alone, alone_scores = find(session, portrait)
    wanted = alone[alone_scores.argmax()] + np.array([1920 - 512, 1080 - 512, 0, 0])
    np.testing.assert_allclose(
        boxes[scores.argmax()], wanted, atol=TOLERANCES["face_scale"].value * wanted[2]
    )


@pytest.mark.parametrize("size", [(64, 64), (65, 97), (1, 1), (33, 4001), (2160, 3840), (1081, 1919)])
def test_any_size_runs(session, size):
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    boxes, scores = find(session, noise)
    assert np.isfinite(boxes).all()
    assert ((scores >= THRESHOLD) & (scores <= 1)).all()


def test_the_threshold_is_the_one_asked_for(session, portrait):
    stricter = onnxruntime.InferenceSession(
        faces_graph(0.9).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    _, scores = find(session, portrait)
    _, strict_scores = find(stricter, portrait)
    np.testing.assert_array_equal(strict_scores, scores[scores >= 0.9])
    assert 0 < len(strict_scores) < len(scores)


@pytest.mark.parametrize("threshold", [0.0, 1.0, -1.0, float("nan")])
def test_refuses_a_threshold_out_of_range(threshold):
    with pytest.raises(ValueError, match="between 0 and 1"):
        faces_graph(threshold)


def test_a_larger_bound_would_be_slower_and_a_smaller_one_would_miss_faces(session, portrait):
    """A face of 64 px, the smallest that is judged, is found in a frame of 1080p."""
    boxes, scores = find(session, portrait)
    factor = 64 / boxes[scores.argmax()][2]
    small = cv2.resize(portrait, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    frame = np.full((1080, 1920, 3), 90, np.uint8)
    frame[300 : 300 + len(small), 800 : 800 + small.shape[1]] = small
    assert len(find(session, frame)[1]) > 0
    assert LONGEST_SIDE_PX % 32 == 0
