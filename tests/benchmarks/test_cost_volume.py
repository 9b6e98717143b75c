"""The forms of the cost volume that are timed beside each other do the same work."""

from __future__ import annotations

import numpy as np
import onnx

from flowtell.benchmarks.cost_volume import SPAN, D, definition, forms, measure


def test_the_definition_finds_the_displacement():
    """Image 2 is image 1 moved by (dx, dy) = (1, -2): the largest cost is in that channel."""
    first = np.random.default_rng(0).normal(size=(1, 64, 12, 12)).astype(np.float32)
    second = np.roll(first, (-2, 1), axis=(2, 3))
    channel = int(definition(first, second)[0, :, 6, 6].argmax())
    assert divmod(channel, SPAN) == (-2 + D, 1 + D)


def test_every_form_is_standard_and_checked_before_it_is_timed():
    for model in forms(3, 5).values():
        onnx.checker.check_model(model, full_check=True)
        assert {node.domain for node in model.graph.node} == {""}
    found = measure(3, 5, runs=1)
    assert len(found) == 3
    assert all(entry["runs"] == 1 and entry["difference"] < 1e-5 for entry in found.values())
