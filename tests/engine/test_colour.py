"""Colours: the fast way to RGB gives the very pixels of FFmpeg's exact one, in every format and size."""

from __future__ import annotations

import itertools

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from flowtell import _colour as colour
from flowtell._colour import RgbConverter, new_image

EXACT = (
    Interpolation.BILINEAR
    | Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
    | Interpolation.FULL_CHR_H_INT
)
OTHERS = [
    "gray",
    "yuva420p",
    "yuv411p",
    "yuv420p12le",
    "uyvy422",
    "rgb24",
    "bgr24",
    "gbrp",
    "pal8",
    "rgb48le",
]
MATRICES = [Colorspace.ITU709, Colorspace.ITU601, Colorspace.SMPTE240M, Colorspace.BT2020, Colorspace.FCC]


def noise(name, width, height, seed=0):
    """A picture of noise in one pixel format, 10 bits in those that have 10."""
    picture = av.VideoFrame(width, height, name)
    rng = np.random.default_rng(seed)
    for plane in picture.planes:
        if name.endswith("p10le"):
            data = rng.integers(0, 1024, plane.buffer_size // 2).astype("<u2")
        else:
            data = rng.integers(0, 256, plane.buffer_size, dtype=np.uint8)
        plane.update(data.tobytes().ljust(plane.buffer_size, b"\0"))
    return picture


def exact(picture):
    """FFmpeg's straight conversion to packed RGB with every flag for exactness, `uint8 [H, W, 3]`."""
    return VideoReformatter().reformat(picture, format="rgb24", interpolation=EXACT).to_ndarray()


@pytest.mark.parametrize("name", [*sorted(colour._PLANAR_FIRST), *OTHERS])
@pytest.mark.parametrize(("width", "height"), [(64, 48), (97, 55), (34, 31), (2, 2), (1, 1), (1921, 18)])
def test_every_format_and_size_gives_the_exact_pixels(name, width, height):
    converter = RgbConverter(new_image)
    for seed, (matrix, reach) in enumerate(itertools.product(MATRICES, ColorRange)):
        if reach is ColorRange.NB:
            continue
        picture = noise(name, width, height, seed)
        picture.colorspace, picture.color_range = matrix, reach
        assert np.array_equal(converter.convert(picture), exact(picture)), (matrix, reach)


def test_images_are_written_where_they_are_wanted():
    memory = np.zeros(4 * 34 * 48 * 3, np.uint8)
    asked = []

    def place(height, width):
        asked.append((height, width))
        return memory[: 3 * height * width].reshape(height, width, 3)

    image = RgbConverter(place).convert(noise("yuv420p", 34, 48))
    assert asked == [(48, 34)]
    assert np.shares_memory(image, memory)
    assert np.array_equal(image, exact(noise("yuv420p", 34, 48)))
