"""Shot cuts are found by signatures; motion, flicker and pans are none."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from flowtell._cuts import CutFinder


class Box:
    """A box of one frame, which counts how often it is signed and knows how far it can differ at most.

    `spare` is what it says beyond how far it does; None for a box that does not know.
    """

    def __init__(self, signature, spare=None):
        self.pixels = signature
        self.spare = spare
        self.signed = 0

    @property
    def signature(self):
        self.signed += 1
        return self.pixels

    def most_difference(self, before):
        if self.spare is None:
            return None
        return int(np.abs(before.pixels.astype(int) - self.pixels).sum()) + self.spare


def level(value):
    return Box(np.full((8, 8, 3), value, np.uint8))


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
    half.pixels[:4] = 219
    assert not CutFinder().is_cut(level(100), half)
    half.pixels[:4] = 220
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
        assert not finder.is_cut(Box(previous), Box(frame))
        previous = frame


def test_what_boxes_know_before_they_are_signed_changes_no_cut():
    cuts = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        changes = rng.choice([1, 3, 8, 17, 25, 40, 70], 60, p=[0.4, 0.2, 0.15, 0.1, 0.05, 0.05, 0.05])
        if rng.random() < 0.5:
            changes = np.minimum(changes, 25)
        signatures = [np.zeros((8, 8, 3), np.uint8)]
        for change in changes:
            moved = signatures[-1].astype(int) + int(change) * rng.choice([-1, 1])
            signatures.append(np.clip(moved, 0, 255).astype(np.uint8))
        spares = [None if rng.random() < 0.2 else int(rng.integers(0, 3000)) for _ in signatures]
        wanted = found([Box(signature) for signature in signatures])
        assert found([Box(*known) for known in zip(signatures, spares, strict=True)]) == wanted
        cuts += sum(wanted)
    assert cuts > 40


def found(boxes):
    finder = CutFinder()
    return [finder.is_cut(before, after) for before, after in pairwise(boxes)]


def test_boxes_are_signed_where_a_cut_is_not_ruled_out_and_no_earlier():
    values = [100, 101, 100, 102, 100, 101, 100, 115, 100]
    boxes = [Box(level(value).pixels, spare=300) for value in values]
    finder = CutFinder()
    assert not any(finder.is_cut(before, after) for before, after in pairwise(boxes[:7]))
    assert [box.signed for box in boxes] == [0] * 9
    # 15 levels are none, but 15 and the spare might be 16: once it is signed nothing before it has to be
    assert not finder.is_cut(boxes[6], boxes[7])
    assert [box.signed for box in boxes] == [0, 0, 0, 0, 0, 0, 1, 1, 0]
    # after a jump that is known a like one is ruled out again
    assert not finder.is_cut(boxes[7], boxes[8])
    assert [box.signed for box in boxes] == [0, 0, 0, 0, 0, 0, 1, 1, 0]


def test_a_cut_is_told_by_all_that_came_before_it():
    boxes = [Box(level(value).pixels, spare=0) for value in (100, 101, 100, 102, 100, 116)]
    assert found(boxes) == [False] * 4 + [True]
    assert all(box.signed for box in boxes)
