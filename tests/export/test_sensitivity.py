"""What float16 costs in each block of a detector."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from flowtell.export.sensitivity import sensitivities


@pytest.fixture(scope="module")
def found(tiny_bundle):
    clip = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    return sensitivities(onnx.load(tiny_bundle / "detector.onnx"), [clip])


def test_a_block_of_the_classifier_does_not_touch_the_flow(found):
    for block in ("classifier block 3", "classifier dense", "logit", "resize", "flow image"):
        assert found[block]["flow_max_epe"] == 0, block
        assert found[block]["pair_logit"] > 0, block


def test_a_block_of_the_flow_network_moves_the_flow(found):
    for block in ("pyramid level 3", "cost volume", "flow head 2", "context"):
        assert 0 < found[block]["flow_mean_epe"] <= found[block]["flow_max_epe"], block


def test_what_is_kept_costs_less_than_everything(found):
    assert found["all but those kept"]["flow_mean_epe"] < found["all"]["flow_mean_epe"]
