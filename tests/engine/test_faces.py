"""Candidates become faces, faces become boxes."""

from __future__ import annotations

import numpy as np
import pytest
from tolerances import TOLERANCES

from flowtell import Bundle
from flowtell._clock import StageClock
from flowtell._faces import Face, FaceFinder, iou, merge_candidates, square_box
from flowtell._frame import RgbFrame
from flowtell._pipeline import open_face_graphs


def still(image):
    return RgbFrame(image, 0.0)


def merged(*candidates):
    table = np.array(candidates, dtype=np.float32).reshape(-1, 5)
    return merge_candidates(table[:, :4], table[:, 4])


def test_candidates_of_one_face_vote_by_their_score():
    (face,) = merged((100, 100, 50, 60, 0.9), (104, 100, 50, 60, 0.6))
    close = TOLERANCES["box_mean_px"].value
    assert face.x == pytest.approx((100 * 0.9 + 104 * 0.6) / 1.5, abs=close)
    assert (face.y, face.w, face.h) == pytest.approx((100, 50, 60), abs=close)
    assert face.score == pytest.approx(0.9, abs=TOLERANCES["face_score"].value)


def test_two_faces_side_by_side_stay_two_best_first():
    faces = merged((0, 0, 50, 50, 0.7), (60, 0, 50, 50, 0.95), (61, 0, 50, 50, 0.8))
    assert [round(face.score, 2) for face in faces] == [0.95, 0.7]


def test_no_candidates_and_unusable_ones_give_no_face():
    assert merged() == []
    bad = [(np.nan, 0, 9, 9, 0.9), (0, 0, np.inf, 9, 0.9), (0, 0, 0, 9, 0.9), (0, 0, 9, -9, 0.9)]
    assert merged(*bad, (0, 0, 9, 9, np.nan), (0, 0, 9, 9, 0.0)) == []


def test_a_rounding_error_in_the_scores_cannot_move_the_face():
    """Two anchors that tie: plain suppression would jump by their distance, 6 px."""
    first = merged((100, 100, 50, 60, 0.90001), (106, 100, 50, 60, 0.90000))
    second = merged((100, 100, 50, 60, 0.90000), (106, 100, 50, 60, 0.90001))
    assert abs(first[0].x - second[0].x) < TOLERANCES["box_vote_px"].value


@pytest.mark.parametrize(
    ("face", "margin", "box"),
    [
        (Face(100, 100, 50, 60, 1), 1.0, (96, 100, 60, 60)),
        (Face(100, 100, 50, 60, 1), 1.3, (86, 92, 78, 78)),
        (Face(-30, -30, 40, 40, 1), 1.0, (-30, -30, 40, 40)),
        (Face(0, 0, 0.4, 0.3, 1), 1.0, (0, 0, 2, 2)),
    ],
)
def test_boxes_are_square_even_and_centred(face, margin, box):
    assert square_box(face, margin) == box


def test_boxes_of_any_face_are_even_and_near_the_exact_square():
    rng = np.random.default_rng(3)
    for x, y, w, h in rng.uniform(10, 900, (200, 4)):
        left, top, side, height = square_box(Face(x, y, w, h, 1), 1.3)
        assert side == height
        assert left % 2 == top % 2 == side % 2 == 0
        assert abs(side - 1.3 * max(w, h)) <= TOLERANCES["box_side_px"].value
        assert abs(left + side / 2 - (x + w / 2)) <= TOLERANCES["box_centre_px"].value
        assert abs(top + side / 2 - (y + h / 2)) <= TOLERANCES["box_centre_px"].value


def test_share_of_a_face_inside_a_box():
    face = Face(10, 10, 20, 10, 1)
    assert face.share_inside((0, 0, 100, 100)) == 1
    assert face.share_inside((20, 0, 100, 100)) == 0.5
    assert face.share_inside((20, 15, 100, 100)) == 0.25
    assert face.share_inside((60, 60, 10, 10)) == 0


def test_iou():
    assert iou((0, 0, 10, 10), (0, 0, 10, 10)) == 1
    assert iou((0, 0, 10, 10), (5, 0, 10, 10)) == pytest.approx(50 / 150, abs=TOLERANCES["probability"].value)
    assert iou((0, 0, 10, 10), (20, 20, 10, 10)) == 0


@pytest.fixture(scope="module")
def graphs(motion_bundle):
    return open_face_graphs(Bundle.open(motion_bundle))


def test_finds_the_face_of_a_portrait_and_its_place(graphs, portrait):
    clock = StageClock()
    finder = FaceFinder(graphs.faces, clock)
    (face,) = finder.find(still(portrait))
    assert 200 < face.size_px < 260
    shifted = np.roll(portrait, (-20, 40), (0, 1))
    moved = max(finder.find(still(shifted)), key=lambda found: found.score)
    close = TOLERANCES["face_shift_px"].value
    assert moved.x - face.x == pytest.approx(40, abs=close)
    assert moved.y - face.y == pytest.approx(-20, abs=close)
    assert clock.spent_ms("faces") > 0


def test_finds_both_of_two_faces(graphs, portrait):
    wide = np.concatenate([portrait, portrait[:, ::-1]], axis=1)
    assert len(FaceFinder(graphs.faces, StageClock()).find(still(wide))) == 2


@pytest.mark.parametrize("shape", [(64, 64), (1, 1), (2160, 3840), (33, 1921)])
def test_frames_of_any_size_without_a_face(graphs, shape):
    assert FaceFinder(graphs.faces, StageClock()).find(still(np.full((*shape, 3), 90, np.uint8))) == []
