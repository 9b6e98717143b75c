"""The demo: its colours against an independent drawing of the same wheel."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def drawing() -> ModuleType:
    spec = importlib.util.spec_from_file_location("flow_colours", EXAMPLES / "flow_colours.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_wheel_is_the_middlebury_one(drawing: ModuleType) -> None:
    flow_vis = pytest.importorskip("flow_vis", reason="the independent drawing of the wheel")
    flow = np.random.default_rng(0).normal(0, 3, (64, 64, 2)).astype(np.float32)
    ours = drawing.flow_colours(flow, float(np.hypot(flow[..., 0], flow[..., 1]).max()))
    # flow_vis cuts to whole levels, once in the wheel and once in the picture, where we round once.
    assert np.abs(ours.astype(int) - flow_vis.flow_to_color(flow)).max() <= 1


def test_still_is_white_and_longer_than_full_is_full(drawing: ModuleType) -> None:
    flow = np.array([[[0, 0], [2, 0], [20, 0], [-2, 0]]], dtype=np.float32)
    still, right, far_right, left = drawing.flow_colours(flow, 2.0)[0]
    assert still.tolist() == [255, 255, 255]
    assert right.tolist() == far_right.tolist() == [255, 0, 0]
    assert left[0] == 0
