"""Shot cuts are found by signatures; motion, flicker and pans are none."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from flowtell._cuts import CutFinder


def level(value):
    return np.full((8, 8, 3), value, np.uint8)


def run(values):
    """Feed one signature after the other; return the indices after which a cut was found."""
    finder = CutFinder()
    return [
        i
        for i, (before, after) in enumerate(pairwise(values), 1)
        if finder.is_cut(level(before), level(after))
    ]


def test_a_jump_of_60_levels_is_a_cut_at_once():
    assert run([100, 160]) == [1]
    assert run([160, 100]) == [1]
    assert run([100, 159]) == []


def test_a_sudden_jump_is_a_cut_only_after_a_quiet_past():
    assert run([100, 108, 100, 108, 100, 124]) == [5]
    assert run([100, 108, 100, 108, 100, 123]) == []
    assert run([100, 101, 100, 101, 125]) == []


def test_a_lesser_jump_is_a_cut_only_out_of_near_stillness():
    assert run([100, 101, 100, 101, 100, 116]) == [5]
    assert run([100, 101, 100, 101, 100, 115]) == []
    assert run([100, 103, 100, 103, 100, 118]) == [5]
    assert run([100, 103, 100, 103, 100, 117]) == []
    assert run([100, 101, 100, 101, 117]) == []


def test_a_jump_like_those_before_it_is_none():
    """A pan filmed at 24 and shown at 48 alternates between small and large differences."""
    assert run([100, 135, 142, 177, 184, 219, 212, 177, 170, 135]) == []
    assert run([100, 109, 100, 109, 100, 125]) == []


def test_differences_are_counted_without_overflow_in_both_directions():
    before, after = level(0), level(255)
    assert CutFinder().is_cut(before, after)
    assert CutFinder().is_cut(after, before)
    half = level(100)
    half[:4] = 219
    assert not CutFinder().is_cut(level(100), half)
    half[:4] = 220
    assert CutFinder().is_cut(level(100), half)


@pytest.mark.parametrize("seed", range(3))
def test_an_inner_face_swapped_anew_in_every_frame_is_none(seed):
    """The inner face is a quarter of the box; its brightness jumps by up to 60 levels, 15 of the whole."""
    rng = np.random.default_rng(seed)
    still = rng.integers(60, 200, (8, 8, 3)).astype(np.uint8)
    finder = CutFinder()
    previous = still
    for _ in range(50):
        frame = still.astype(int)
        frame[2:6, 2:6] += rng.integers(-30, 31)
        frame = np.clip(frame, 0, 255).astype(np.uint8)
        assert not finder.is_cut(previous, frame)
        previous = frame
