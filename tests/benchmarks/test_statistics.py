"""The statistics of the benchmarks, on numbers that can be worked out."""

import time

import pytest

from flowtell.benchmarks.statistics import interleaved_timings, quantile


def test_quantiles_lie_between_neighbours():
    assert quantile([4.0, 1.0, 3.0, 2.0], 0.5) == 2.5
    assert quantile([1.0, 2.0, 3.0], 1) == 3.0
    assert quantile([7.0], 0.25) == 7.0
    with pytest.raises(ValueError, match="at least one value"):
        quantile([], 0.5)


def test_contenders_take_turns_and_warm_up_unseen():
    order = []
    timings = interleaved_timings(
        {"a": lambda: order.append("a"), "b": lambda: order.append("b")}, runs=3, warm_up=1
    )
    assert "".join(order) == "abababab"
    assert {name: t.runs for name, t in timings.items()} == {"a": 3, "b": 3}


def test_the_slower_one_is_seen_to_be_slower():
    timings = interleaved_timings({"slow": lambda: time.sleep(0.02), "fast": lambda: None}, runs=3)
    assert timings["slow"].median_ms > 10 * timings["fast"].median_ms
    assert timings["slow"].low_ms <= timings["slow"].median_ms <= timings["slow"].high_ms
