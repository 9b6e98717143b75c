"""Optical flow as colours: the wheel of the Middlebury benchmark (Baker et al., IJCV 2011)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["flow_colours"]

# The wheel walks along edges of the colour cube, each in as many steps as the eye tells apart on it.
CORNERS = np.array(
    [(255, 0, 0), (255, 255, 0), (0, 255, 0), (0, 255, 255), (0, 0, 255), (255, 0, 255)], dtype=np.float64
)
STEPS = (15, 6, 4, 11, 13, 6)


def flow_colours(flow: NDArray[np.float32], full_px: float) -> NDArray[np.uint8]:
    """Draw flow: the direction is the hue, the length is the strength, and what stays in place is white.

    Args:
        flow: `float32 [..., H, W, 2]`, (u, v): x right, y down, in px.
        full_px: length in px at which a colour is full; whatever is longer is drawn as if it were so long.

    Returns:
        `uint8 [..., H, W, 3]` RGB.
    """
    wheel = colour_wheel()
    u, v = flow[..., 0] / full_px, flow[..., 1] / full_px
    length = np.minimum(np.hypot(u, v), 1.0)[..., None]
    # The wheel begins at the left and runs from -pi to pi.
    position = (np.arctan2(-v, -u) / np.pi + 1) / 2 * (len(wheel) - 1)
    before = np.floor(position).astype(np.int64)
    after = (before + 1) % len(wheel)
    share = (position - before)[..., None]
    hue = wheel[before] * (1 - share) + wheel[after] * share
    colours: NDArray[np.uint8] = np.rint(255 - length * (255 - hue)).astype(np.uint8)
    return colours


def colour_wheel() -> NDArray[np.float64]:
    """Return the wheel's colours, `float64 [55, 3]` RGB in 0 to 255, clockwise from the left."""
    following = np.roll(CORNERS, -1, axis=0)
    edges = [
        start + (end - start) * np.arange(steps)[:, None] / steps
        for start, end, steps in zip(CORNERS, following, STEPS, strict=True)
    ]
    return np.concatenate(edges)
