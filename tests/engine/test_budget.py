"""A sample of a stream of unknown length is even, stable and honest about its size."""

from __future__ import annotations

from itertools import pairwise

import pytest

from flowtell import InputError
from flowtell._budget import MAX_CLIPS_LIMIT, EvenSample, _ranks_below, require_clip_budget


def sample(size, stream):
    kept = EvenSample(size)
    for item, preferred in stream:
        kept.offer(item, preferred=preferred)
    return kept


@pytest.mark.parametrize("size", [1, 2, 4, 7, 32])
@pytest.mark.parametrize("length", [1, 4, 5, 16, 33, 100, 1000])
def test_keeps_as_many_as_it_may_in_order_and_evenly(size, length):
    items = sample(size, [(i, True) for i in range(length)]).items()
    assert len(items) == min(size, length)
    assert items == sorted(set(items))
    if length > 4 * size > 4:
        # three-gap theorem: no gap is longer than the golden ratio squared times the mean one, ends included
        edges = [-1, *items, length]
        gaps = [after - before for before, after in pairwise(edges)]
        assert max(gaps) <= 2.7 * length / size + 1


def test_two_faces_that_take_turns_both_stay():
    items = sample(8, [(i, True) for i in range(400)]).items()
    assert 3 <= sum(item % 2 for item in items) <= 5


def test_what_is_not_preferred_only_fills_up():
    stream = [(i, i % 10 == 0) for i in range(100)]
    assert all(item % 10 == 0 for item in sample(10, stream).items())
    kept = sample(15, stream).items()
    assert len(kept) == 15
    assert sum(item % 10 == 0 for item in kept) == 10


def test_counts_what_was_offered():
    assert sample(3, [(0, True)] * 7).offered == 7


@pytest.mark.parametrize("bad", [0, -1, MAX_CLIPS_LIMIT + 1, 2.0, "4", True])
def test_refuses_other_budgets(bad):
    with pytest.raises(InputError, match="from 1 to 256"):
        require_clip_budget(bad)


def test_accepts_none_and_its_limits():
    assert [require_clip_budget(value) for value in (None, 1, MAX_CLIPS_LIMIT)] == [None, 1, 256]


@pytest.mark.parametrize("size", [1, 3, 8])
@pytest.mark.parametrize("length", [8, 40, 300])
def test_what_will_stay_is_foreseen_where_the_length_is_known(size, length):
    kept, foreseen = EvenSample(size), []
    for item in range(length):
        kept.offer(item, preferred=True)
        if kept.may_keep_latest((item + 1) / length):
            foreseen.append(item)
    stay = set(kept.items())
    assert set(foreseen) == stay


@pytest.mark.parametrize("count", [1, 2, 89, 1000])
def test_ranks_below_a_bound_are_counted(count):
    ranks = [(i * 2654435769) % 2**32 for i in range(count)]
    for bound in [*ranks[:20], 1, 2**31, 2**32]:
        assert _ranks_below(bound, count) == sum(rank < bound for rank in ranks)


def test_a_length_beyond_belief_foresees_nothing():
    kept = EvenSample(4)
    kept.offer(0, preferred=True)
    kept.offer(1, preferred=True)
    assert not kept.may_keep_latest(5e-324)


def test_what_is_given_up_is_said():
    kept = EvenSample(2)
    assert [kept.offer(item, preferred=item != 1) for item in range(4)] == [None, None, 1, 2]
    assert kept.items() == [0, 3]


def test_nothing_is_foreseen_of_what_is_not_preferred():
    kept = EvenSample(2)
    kept.offer(0, preferred=False)
    assert not kept.may_keep_latest(1.0)


def test_what_is_not_preferred_takes_its_turn_in_an_order_of_visits():
    kept = EvenSample(100)
    for item in range(60):
        kept.offer(item, preferred=item % 3 == 0)
    order = kept.by_rank()
    assert sorted(order) == list(range(60))
    for length in (6, 12, 30):
        others = sum(item % 3 > 0 for item in order[:length])
        # two of three, and evenly over the stream
        assert abs(others - 2 * length / 3) <= 2
        assert abs(sum(item < 30 for item in order[:length]) - length / 2) <= 2
