"""Image pairs with exact flow, made on the fly from pictures.

Frame 2 is painted first, layer by layer; frame 1 is frame 2 looked up at `x + flow(x)`. So the flow of frame
1 is exact to the interpolation of the picture, occlusion included.
"""

from dataclasses import dataclass

import cv2
import numpy as np

__all__ = ["FlowPair", "MotionConfig", "synthetic_pair"]


@dataclass(frozen=True)
class FlowPair:
    """Two frames and the flow between them.

    Attributes:
        image1, image2: uint8 `[H, W, 3]` RGB.
        flow: float32 `[H, W, 2]` (u, v) in px, frame 1 to frame 2.
    """

    image1: np.ndarray
    image2: np.ndarray
    flow: np.ndarray


@dataclass(frozen=True)
class MotionConfig:
    """How large and how varied the motion is.

    Attributes:
        size_px: side of the square frames.
        translation_px: scale of the translation of a layer. Its length is drawn log-uniformly between
            a thirtieth of it and itself: a face moves by a fraction of a pixel mostly, and rarely by many.
        max_layers: up to this many layers in front of the background.
        still_share: share of pairs in which nothing at all moves (only noise and compression differ).
    """

    size_px: int = 128
    translation_px: float = 12.0
    max_layers: int = 3
    still_share: float = 0.03


def synthetic_pair(textures, config, rng):
    """Make one pair.

    Args:
        textures: list of uint8 `[H, W, 3]` pictures.
        config: a `MotionConfig`.
        rng: a `numpy.random.Generator`; the same state gives the same pair.

    Returns:
        a `FlowPair`.
    """
    n = config.size_px
    still = rng.random() < config.still_share
    flow = np.zeros((n, n, 2), np.float32) if still else _motion(n, config, rng)
    frame2 = _Painter(textures, n, rng)
    image1, image2 = frame2.at(flow), frame2.at(np.zeros_like(flow))
    for _ in range(rng.integers(0, config.max_layers + 1)):
        # A layer shares part of the background's motion, as a face shares the camera's.
        own = np.zeros_like(flow) if still else _motion(n, config, rng) + rng.random() * flow
        painter = _Painter(textures, n, rng)
        mask = _blob(n, rng)
        alpha2 = mask[..., None]
        alpha1 = _look_up(mask, own)[..., None]
        image2 = image2 + alpha2 * (painter.at(np.zeros_like(own)) - image2)
        image1 = image1 + alpha1 * (painter.at(own) - image1)
        flow = np.where(alpha1 > 0.5, own, flow)
    image1, image2 = _degrade_pair(image1, image2, rng)
    return FlowPair(image1, image2, flow.astype(np.float32))


class _Painter:
    """One picture under one affine view, which can be looked up at moved positions."""

    def __init__(self, textures, n, rng):
        picture = textures[rng.integers(len(textures))]
        # Zoom so that the frame shows between a fifth and all of the picture's shorter side, never finer
        # than the picture itself allows without aliasing.
        side = min(picture.shape[:2])
        view = side * rng.uniform(0.2, 1.0)
        scale = view / n
        if scale > 1:
            picture = cv2.resize(picture, None, fx=1 / scale, fy=1 / scale, interpolation=cv2.INTER_AREA)
            scale = 1.0
        if rng.random() < 0.5:
            picture = picture[:, ::-1]
        if rng.random() < 0.5:
            picture = picture[:, :, rng.permutation(3)]
        self.picture = np.ascontiguousarray(picture)
        angle = rng.uniform(-np.pi, np.pi) if rng.random() < 0.3 else rng.normal(0, 0.15)
        self.linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        height, width = self.picture.shape[:2]
        self.centre = np.array([rng.uniform(0.25, 0.75) * width, rng.uniform(0.25, 0.75) * height])
        self.n = n

    def at(self, flow):
        """Return float32 `[n, n, 3]`: the picture at `x + flow(x)`."""
        x, y = _grid(self.n)
        dx, dy = x + flow[..., 0] - self.n / 2, y + flow[..., 1] - self.n / 2
        (a, b), (c, d) = self.linear
        map_x = (a * dx + b * dy + self.centre[0]).astype(np.float32)
        map_y = (c * dx + d * dy + self.centre[1]).astype(np.float32)
        out = cv2.remap(self.picture, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        return out.astype(np.float32)


def _grid(n):
    y, x = np.mgrid[0:n, 0:n].astype(np.float32)
    return x, y


def _motion(n, config, rng):
    """Affine motion about a random centre plus a smooth elastic field; float32 `[n, n, 2]` px."""
    length = config.translation_px * np.exp(rng.uniform(np.log(1 / 30), 0))
    direction = rng.uniform(0, 2 * np.pi)
    x, y = _grid(n)
    cx, cy = rng.uniform(0, n, 2)
    # Rotation, zoom and shear move a pixel n/4 from the centre by about half as much as the translation.
    linear = rng.normal(0, 0.5, (2, 2)) * min(length, n / 16) / (n / 4)
    u = length * np.cos(direction) + linear[0, 0] * (x - cx) + linear[0, 1] * (y - cy)
    v = length * np.sin(direction) + linear[1, 0] * (x - cx) + linear[1, 1] * (y - cy)
    flow = np.stack([u, v], -1).astype(np.float32)
    if rng.random() < 0.7:
        cells = int(rng.integers(3, 11))
        amplitude = config.translation_px * 0.3 * np.exp(rng.uniform(np.log(1 / 20), 0))
        # Neighbouring control points n/cells apart may differ by little more than half that, or the field
        # folds.
        amplitude = min(amplitude, 0.2 * n / cells)
        knots = rng.normal(0, amplitude, (cells, cells, 2)).astype(np.float32)
        flow += cv2.resize(knots, (n, n), interpolation=cv2.INTER_CUBIC)
    return flow


def _blob(n, rng):
    """Return a smooth-edged random region of frame 2; float32 `[n, n]` in [0, 1]."""
    x, y = _grid(n)
    cx, cy = rng.uniform(0.1, 0.9, 2) * n
    rx, ry = rng.uniform(0.08, 0.4, 2) * n
    angle = np.arctan2(y - cy, x - cx)
    radius = np.hypot((x - cx) / rx, (y - cy) / ry)
    outline = np.ones_like(radius)
    for k in range(2, 6):
        outline += rng.normal(0, 0.25 / k) * np.cos(k * angle + rng.uniform(0, 2 * np.pi))
    # The edge is about one pixel wide, as that of a thing in focus.
    return np.clip((outline - radius) * min(rx, ry) + 0.5, 0, 1).astype(np.float32)


def _look_up(mask, flow):
    x, y = _grid(mask.shape[0])
    return cv2.remap(
        mask, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def _degrade_pair(image1, image2, rng):
    """Do what a camera and a codec do: exposure, blur, noise, compression; mostly alike in both frames."""
    gain, offset, gamma = rng.uniform(0.75, 1.25), rng.uniform(-20, 20), rng.uniform(0.8, 1.25)
    change = rng.normal(1, 0.02), rng.normal(0, 2)
    blur = rng.uniform(0.3, 1.4) if rng.random() < 0.3 else 0.0
    sigma = rng.uniform(0, 6) if rng.random() < 0.6 else 0.0
    quality = int(rng.integers(25, 95)) if rng.random() < 0.5 else None
    out = []
    for k, image in enumerate((image1, image2)):
        image = 255 * (np.clip(image, 0, 255) / 255) ** gamma
        image = gain * image + offset
        if k:
            image = change[0] * image + change[1]
        if blur:
            image = cv2.GaussianBlur(image, (0, 0), blur)
        if sigma:
            image = image + rng.normal(0, sigma, image.shape).astype(np.float32)
        image = np.clip(image + 0.5, 0, 255).astype(np.uint8)
        if quality is not None:
            # The codec weighs brightness by colour, and OpenCV takes blue first.
            _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
            image = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
        out.append(image)
    return out
