"""Boxes of a frame of 321 by 180 px, in it and around it, for every graph that takes a frame and a box."""

from __future__ import annotations

import pytest

__all__ = ["BOXES"]

BOXES = [
    pytest.param((40, 30, 120, 120), id="inside"),
    pytest.param((0, 0, 321, 180), id="whole frame, not square"),
    pytest.param((10, 20, 30, 30), id="small, no multiple of 8"),
    pytest.param((-40, -60, 200, 200), id="over the corner"),
    pytest.param((250, 100, 200, 200), id="over the other corner"),
    pytest.param((-100, 40, 600, 64), id="wider than the frame"),
    pytest.param((-300, -400, 700, 700), id="around the frame"),
    pytest.param((-90, -80, 40, 40), id="wholly outside, above left"),
    pytest.param((1000, 40, 40, 40), id="wholly outside, right"),
    pytest.param((40, 5000, 2, 2), id="wholly outside, below, tiny"),
]
