"""Which face of this look is which face of the looks before: boxes and times alone, worked out by hand."""

from __future__ import annotations

import pytest

from flowtell._faces import Face
from flowtell._tracks import Track, match_faces

MARGIN = 1.0


def face(x, y=0.0, side=100.0):
    return Face(x, y, side, side, 0.9)


def track(number, *looks):
    """A track that was seen at each of the (time_s, face) given."""
    (first_s, first), *rest = looks
    made = Track(number, first, first_s)
    for time_s, seen in rest:
        made.see(seen, time_s)
    return made


def test_a_face_seen_once_is_expected_where_it_was():
    assert track(0, (1.0, face(10))).expected_face(2.0) == face(10)


def test_a_face_seen_twice_is_expected_to_go_on():
    """30 px in 0.5 s are 15 px in 0.25 s; its size stays that of the last look."""
    moving = track(0, (1.0, face(10)), (1.5, face(40)))
    assert moving.expected_face(1.75) == face(55)


def test_growth_is_no_motion():
    """A face that comes closer grows on all sides: its centre stays."""
    growing = track(0, (1.0, face(10, 10, 80)), (1.5, face(0, 0, 100)))
    assert growing.expected_face(2.0) == face(0, 0, 100)


@pytest.mark.parametrize("second_s", [1.0, 0.5])
def test_times_that_do_not_advance_give_no_motion(second_s):
    assert track(0, (1.0, face(10)), (second_s, face(40))).expected_face(2.0) == face(40)


def test_times_that_jump_do_not_throw_a_face_far_off():
    """The smallest number there is between two looks: 16 times their 30 px, and no more."""
    assert track(0, (0.0, face(10)), (5e-324, face(40))).expected_face(1e9) == face(40 + 16 * 30)


def test_two_faces_that_swapped_places_are_told_apart_by_their_motion():
    tracks = [
        track(0, (0.0, face(0)), (1.0, face(60))),
        track(1, (0.0, face(160)), (1.0, face(100))),
    ]
    found = [face(122), face(38)]
    assert match_faces(tracks, found, 2.0, MARGIN) == {0: 0, 1: 1}


def test_a_face_that_stopped_is_found_where_it_was_last_seen():
    """It ran 90 px a second and is expected at 180 px, where nothing overlaps it enough."""
    stopped = track(0, (0.0, face(0)), (1.0, face(90)))
    assert match_faces([stopped], [face(92)], 2.0, MARGIN) == {0: 0}


def test_what_overlaps_too_little_is_somebody_else():
    assert match_faces([track(0, (0.0, face(0)))], [face(70)], 1.0, MARGIN) == {}
