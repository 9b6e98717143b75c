"""How far colours can have changed is told from luma and chroma: never too low, and low where little did."""

from __future__ import annotations

import itertools

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange

from flowtell import Bundle
from flowtell._clock import StageClock
from flowtell._colour import LAYOUTS, plane_arrays
from flowtell._face_crops import Cropper, WaitingPixels
from flowtell._frame import PlanarFrame, RgbFrame
from flowtell._pipeline import open_face_graphs
from flowtell._planar_parts import PartConverter, part_of
from flowtell._plane_changes import surely_differ
from flowtell._planes import MATRICES, PixelKind, PlanarPicture, PlaneTaker
from flowtell._signature import signature_samples
from flowtell._siting import SITINGS, blank_picture
from flowtell.samples import natural_path

RANGES = [ColorRange.UNSPECIFIED, ColorRange.MPEG, ColorRange.JPEG]
SPARE = 3 * 192
"""Levels that conversion and rounding may add to the 192 values of a signature."""


@pytest.fixture(autouse=True)
def parts_of_any_size(monkeypatch):
    """Let small parts, too, keep their luma and chroma."""
    monkeypatch.setattr("flowtell._frame.LEAST_PX", 0)


@pytest.fixture(scope="module")
def cropper(tiny_bundle):
    graphs = open_face_graphs(Bundle.open(tiny_bundle))
    return Cropper(graphs.cuts, graphs.crop, graphs.crop_size, StageClock())


def frames_of(kind, *pictures):
    """Frames of planes, as a decoder would give them."""
    return [PlanarFrame(PlanarPicture(kind, planes), 0.0, PartConverter()) for planes in pictures]


def planes_like(rng, layout, width, height, spread):
    """Luma and chroma of a picture around grey."""
    return tuple(
        np.clip(128 + spread * rng.standard_normal(plane.shape), 0, 255).astype(np.uint8)
        for plane in plane_arrays(blank_picture(layout, width, height, "left"))
    )


def moved(rng, planes, most, share):
    """The same picture with some of its samples changed by up to so many levels, up or down together."""
    out = []
    for plane in planes:
        step = rng.integers(0, most + 1, plane.shape) * rng.choice([-1, 1])
        step[rng.random(plane.shape) > share] = 0
        out.append(np.clip(plane + step, 0, 255).astype(np.uint8))
    return tuple(out)


def difference(before, after):
    return int(np.abs(before.signature.astype(int) - after.signature).sum())


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("siting", SITINGS)
def test_signatures_differ_by_no_more_than_is_said(cropper, layout, siting):
    rng = np.random.default_rng(len(layout) + 7 * SITINGS.index(siting))
    nearest: dict[tuple[int, int], float] = {}
    unsaid = 0
    for matrix, levels, orientation in itertools.product(sorted(MATRICES), RANGES, range(8)):
        kind = PixelKind(layout, matrix, int(levels), siting, orientation)
        width, height = (2 * int(half) for half in rng.integers((20, 20), (160, 120)))
        first = planes_like(rng, layout, width, height, rng.choice([5, 25, 60]))
        second = moved(rng, first, int(rng.integers(1, 60)), rng.choice([0.05, 1]))
        if rng.random() < 0.8:
            first, second = (
                (luma, *(np.minimum(plane, 236) for plane in chroma)) for luma, *chroma in (first, second)
            )
        if rng.random() < 0.2:
            # as near to where FFmpeg's colours wrap around as may be
            first[0][: height // 2] = 255
            for plane in second[1:]:
                plane[:, : plane.shape[1] // 2] = 236
        before, after = frames_of(kind, first, second)
        side = 2 * int(rng.integers(4, 200))
        x, y = (2 * int(corner) for corner in rng.integers(-80, 140, 2))
        one, other = (cropper.cut(frame, (x, y, side, side)) for frame in (before, after))
        most = other.most_difference(one)
        if most is None:
            # FFmpeg's own colours wrap around there
            assert max(plane.max() for planes in (first, second) for plane in planes[1:]) > 236
            unsaid += 1
            continue
        assert difference(one, other) <= most
        case = (matrix, int(levels))
        nearest[case] = max(nearest.get(case, 0.0), difference(one, other) / most)
    assert unsaid < 40
    # the bound is no wild guess: what rises or falls together comes near to it
    assert len(nearest) == len(MATRICES) * len(RANGES)
    assert np.median(list(nearest.values())) > 0.3


def test_what_did_not_change_cannot_differ_much(cropper):
    rng = np.random.default_rng(0)
    planes = planes_like(rng, "yuv420p", 320, 200, 20)
    kind = PixelKind("yuv420p", 1, 1, "left", 0)
    first, same, other = (
        cropper.cut(frame, (40, 20, 150, 150))
        for frame in frames_of(kind, planes, planes, moved(rng, planes, 4, 1))
    )
    assert same.most_difference(first) == SPARE
    # 2 levels of luma on average are 2.3 of each colour; chroma, of which the greatest counts, as much again
    assert SPARE + 192 * 2.3 < other.most_difference(first) < SPARE + 192 * 9


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("siting", SITINGS)
def test_what_surely_differs_does(layout, siting):
    """Flat pictures at the edges of what is told; luma and chroma rise together, so that green stays."""
    rng = np.random.default_rng(len(layout) + 7 * SITINGS.index(siting))
    converter = PartConverter()
    told = {True: 0, False: 0}
    for matrix, levels in itertools.product(sorted(MATRICES), RANGES):
        kind = PixelKind(layout, matrix, int(levels), siting, 0)
        for _ in range(20):
            luma, step = int(rng.choice([20, 66, 67, 125, 184, 185, 250])), int(rng.integers(3, 12))
            rise, away = int(rng.integers(0, step + 1)), 1 if luma < 125 else -1
            chroma = 128 + rng.integers(36, rng.choice([52, 100]), 2) * rng.choice([-1, 1], 2)
            planes = plane_arrays(blank_picture(layout, 64, 64, "left"))
            first, second = (
                tuple(
                    np.full(plane.shape, level, np.uint8)
                    for plane, level in zip(planes, (luma, *(chroma + risen)), strict=True)
                )
                for risen in (0, away * rise)
            )
            second[0][32, 33] = luma + away * step
            one, other = (part_of(PlanarPicture(kind, planes), 8, 8, 56, 56) for planes in (first, second))
            differs = surely_differ(one, other)
            told[differs] += 1
            if differs:
                row, column = 32 - 8, 33 - 8
                before, after = (converter.colours(part)[row, column, 1] for part in (one, other))
                assert before != after
    assert min(told.values()) > 20


def test_a_face_that_moves_surely_differs_and_one_that_does_not_never_does():
    taker = PlaneTaker(0)
    with av.open(str(natural_path())) as container:
        pictures = [taker.take(picture) for picture in itertools.islice(container.decode(video=0), 20)]
    middle = (pictures[0].shape[1] // 4, pictures[0].shape[0] // 4)
    parts = [part_of(picture, *middle, 3 * middle[0], 3 * middle[1]) for picture in pictures]
    assert sum(surely_differ(one, other) for one, other in itertools.pairwise(parts)) > 15
    assert not any(surely_differ(part, part) for part in parts)


def test_nothing_is_said_of_what_cannot_be_compared(cropper):
    rng = np.random.default_rng(0)
    planes = planes_like(rng, "yuv420p", 320, 200, 20)
    kind, turned = (PixelKind("yuv420p", 1, 1, "left", orientation) for orientation in (0, 2))
    box = (40, 20, 150, 150)
    first, second = (cropper.cut(frame, box) for frame in frames_of(kind, planes, planes))
    (upside_down,) = (cropper.cut(frame, box) for frame in frames_of(turned, planes))
    coloured = cropper.cut(RgbFrame(frames_of(kind, planes)[0].image, 0.0), box)
    outside = cropper.cut(frames_of(kind, planes)[0], (300, 150, 150, 150))
    for other in (upside_down, coloured, outside):
        assert first.most_difference(other) is None
        assert other.most_difference(first) is None
    assert second.most_difference(first) is not None
    # a crop that is made needs its part no longer, and is signed
    _ = second.image
    assert second.most_difference(first) is None
    assert np.array_equal(second.signature, first.signature)


def test_small_parts_come_in_rgb(cropper, monkeypatch):
    monkeypatch.setattr("flowtell._frame.LEAST_PX", 150 * 150)
    rng = np.random.default_rng(0)
    planes = planes_like(rng, "yuv420p", 320, 200, 20)
    kind = PixelKind("yuv420p", 1, 1, "left", 0)
    for side, says in ((148, False), (150, True)):
        first, second = (
            cropper.cut(frame, (40, 20, side, side)) for frame in frames_of(kind, planes, planes)
        )
        assert (second.most_difference(first) is not None) == says
        assert np.array_equal(first.signature, second.signature)


def test_a_crop_that_waits_is_signed_and_made_of_what_its_frame_was(cropper):
    rng = np.random.default_rng(0)
    planes = planes_like(rng, "yuv420p", 320, 200, 20)
    kind = PixelKind("yuv420p", 1, 1, "left", 1)
    box = (40, 20, 150, 150)
    wanted = cropper.cut(frames_of(kind, tuple(plane.copy() for plane in planes))[0], box)
    crop = cropper.cut(frames_of(kind, planes)[0], box)
    crop.wait_in(WaitingPixels(1 << 20))
    for plane in planes:
        plane[...] = 0
    assert np.array_equal(crop.signature, wanted.signature)
    assert np.array_equal(crop.image, wanted.image)


@pytest.mark.parametrize("seed", range(6))
def test_samples_are_those_of_the_graph(cropper, seed):
    """One row or column that is white says how much it weighs: a signature adds up to that."""
    rng = np.random.default_rng(seed)
    height, width = (int(size) for size in rng.integers(20, 400, 2))
    side = int(rng.integers(3, 500))
    box = (int(rng.integers(-100, width)), int(rng.integers(-100, height)), side, side)
    left, top = max(box[0], 0), max(box[1], 0)
    right, bottom = min(box[0] + side, width), min(box[1] + side, height)
    if right <= left or bottom <= top:
        pytest.fail("the seed gives a box outside its frame: choose another")
    inside = (box[0] - left, box[1] - top, side, side)
    rows, columns = signature_samples(inside, bottom - top, right - left)
    for axis, samples, size in ((0, rows, bottom - top), (1, columns, right - left)):
        assert samples.weights.sum() == pytest.approx(8)
        weights = np.zeros(size)
        weights[samples.places] = samples.weights
        for place in rng.choice(size, min(size, 12), replace=False):
            frame = np.zeros((height, width, 3), np.uint8)
            if axis == 0:
                frame[top + place] = 255
            else:
                frame[:, left + place] = 255
            total = int(cropper.cut(RgbFrame(frame, 0.0), box).signature[..., 0].sum())
            # 64 values, each rounded by half a level at most
            assert abs(total - 255 * 8 * weights[place]) <= 32
