"""The layers against plain NumPy definitions, borders and signs included."""

import flow_vis
import keras
import numpy as np
import pytest
from tolerances import TOLERANCES

from flowtell import _manifest
from flowtell.training.models import (
    FLOW_ENCODINGS,
    BilinearResize,
    CostVolume,
    FlowImage,
    Residual,
    Warp,
    backward_warp,
    quarter_luma,
    seen_motion,
)


def cost_volume_by_loops(features1, features2, d):
    n, h, w, _ = features1.shape
    out = np.zeros((n, h, w, (2 * d + 1) ** 2), np.float32)
    for y in range(h):
        for x in range(w):
            for dy in range(-d, d + 1):
                for dx in range(-d, d + 1):
                    if 0 <= y + dy < h and 0 <= x + dx < w:
                        match = (features1[:, y, x] * features2[:, y + dy, x + dx]).mean(-1)
                        out[:, y, x, (dy + d) * (2 * d + 1) + dx + d] = match
    return out


def warp_by_loops(image2, flow):
    n, h, w, _ = image2.shape
    out = np.zeros_like(image2)
    for i in range(n):
        for y in range(h):
            for x in range(w):
                sx, sy = x + flow[i, y, x, 0], y + flow[i, y, x, 1]
                left, top = int(np.floor(sx)), int(np.floor(sy))
                for cx, cy in ((left, top), (left + 1, top), (left, top + 1), (left + 1, top + 1)):
                    if 0 <= cx < w and 0 <= cy < h:
                        out[i, y, x] += (1 - abs(sx - cx)) * (1 - abs(sy - cy)) * image2[i, cy, cx]
    return out


def test_cost_volume_is_the_mean_of_products_at_each_displacement():
    rng = np.random.default_rng(0)
    features1, features2 = rng.normal(size=(2, 2, 7, 9, 5)).astype(np.float32)
    got = np.array(CostVolume(3)(features1, features2))
    assert (
        np.abs(got - cost_volume_by_loops(features1, features2, 3)).max() <= TOLERANCES["layer_float32"].value
    )


def test_cost_volume_peaks_where_the_second_image_went():
    rng = np.random.default_rng(1)
    features1 = rng.normal(size=(1, 12, 12, 64)).astype(np.float32)
    right_two_down_one = np.roll(features1, (1, 2), axis=(1, 2))
    best = np.array(CostVolume(4)(features1, right_two_down_one))[0, 5, 5].argmax()
    assert (best // 9 - 4, best % 9 - 4) == (1, 2)


@pytest.mark.parametrize("layer", ["cost_volume", "warp"])
def test_layouts_agree(layer):
    rng = np.random.default_rng(2)
    first = rng.normal(size=(2, 6, 8, 4)).astype(np.float32)
    second = rng.normal(size=(2, 6, 8, 4 if layer == "cost_volume" else 2)).astype(np.float32)
    make = CostVolume if layer == "cost_volume" else Warp
    last = np.array(make(data_format="channels_last")(first, second))
    channels_first = make(data_format="channels_first")(
        first.transpose(0, 3, 1, 2), second.transpose(0, 3, 1, 2)
    )
    assert (
        np.abs(np.array(channels_first).transpose(0, 2, 3, 1) - last).max()
        <= TOLERANCES["layer_float32"].value
    )


def test_warp_samples_bilinearly_and_sees_zero_outside():
    rng = np.random.default_rng(3)
    image2 = rng.normal(size=(2, 6, 7, 3)).astype(np.float32)
    flow = rng.normal(0, 4, size=(2, 6, 7, 2)).astype(np.float32)
    got = np.array(backward_warp(keras.ops.convert_to_tensor(image2), keras.ops.convert_to_tensor(flow)))
    assert np.abs(got - warp_by_loops(image2, flow)).max() <= TOLERANCES["layer_float32"].value


def test_warp_looks_where_the_flow_points():
    image2 = np.zeros((1, 5, 5, 1), np.float32)
    image2[0, 3, 4] = 1
    flow = np.zeros((1, 5, 5, 2), np.float32)
    flow[0, 1, 2] = (2, 2)
    assert np.array(Warp()(image2, flow))[0, 1, 2, 0] == 1


def test_warp_takes_flow_that_is_huge_or_not_a_number():
    flow = np.full((1, 4, 4, 2), 1e30, np.float32)
    assert not np.array(Warp()(np.ones((1, 4, 4, 1), np.float32), flow)).any()


def test_colour_wheel_is_middleburys():
    rng = np.random.default_rng(4)
    flow = rng.normal(0, 3, (1, 32, 40, 2)).astype(np.float32)
    flow[0, 0, :, 1], flow[0, 1, :, 0], flow[0, 2] = 0, 0, 0
    got = np.array(FlowImage("colour_wheel")(flow))[0]
    assert np.abs(got - flow_vis.flow_to_color(flow[0])).max() <= TOLERANCES["colour_wheel_levels"].value


def test_colour_wheel_leaves_a_still_pair_pale():
    noise = np.random.default_rng(5).normal(0, 0.01, (1, 16, 16, 2)).astype(np.float32)
    assert np.array(FlowImage("colour_wheel")(noise)).min() > 240


def test_uv_image_has_a_fixed_scale():
    flow = np.zeros((1, 4, 4, 2), np.float32)
    flow[0, 1, 1] = (1, -0.5)
    image = np.array(FlowImage("uv")(flow))[0]
    assert image[0, 0].tolist() == [127.5, 127.5, 0]
    assert image[1, 1].tolist() == pytest.approx([191.25, 95.625, 255 * np.hypot(1, 0.5) / 2])


def test_uv_residual_image_shows_the_residual_about_grey():
    motion = np.zeros((1, 4, 4, 3), np.float32)
    motion[0, 1, 1], motion[0, 2, 2] = (1, -0.5, 4), (0, 0, -80)
    image = np.array(FlowImage("uv_residual")(motion))[0]
    assert image[0, 0].tolist() == [127.5, 127.5, 127.5]
    assert image[1, 1].tolist() == [191.25, 95.625, 191.25]
    assert image[2, 2].tolist() == [127.5, 127.5, 0]


def moved_ramp(motion_px, brighter):
    """Return two images `[1, 64, 64, 3]` of a slope that moves right, and gets brighter besides."""
    x = np.arange(64) + np.float32(0.5)
    slopes = (2 * x, 2 * (x - motion_px) + brighter)
    return [
        np.broadcast_to(slope[None, None, :, None], (1, 64, 64, 3)).astype(np.float32) for slope in slopes
    ]


@pytest.mark.parametrize("brighter", [0, 3])
def test_residual_is_what_the_motion_does_not_explain(brighter):
    first, second = moved_ramp(4, brighter)
    flow = np.zeros((1, 16, 16, 2), np.float32)
    flow[..., 0] = 4
    motion = np.array(seen_motion("uv_residual", flow, first, second))
    assert np.array_equal(motion[..., :2], flow)
    residual = motion[0, :, :, 2]
    # the last column leads out of the image, where nothing can be said
    assert np.abs(residual[:, :-1] - brighter).max() <= TOLERANCES["residual_levels"].value
    assert not residual[:, -1].any()
    still = np.array(seen_motion("uv_residual", 0 * flow, first, second))[0, :, :, 2]
    assert np.abs(still - (brighter - 8)).max() <= TOLERANCES["residual_levels"].value


def test_residual_is_the_same_in_both_layouts():
    rng = np.random.default_rng(6)
    frames = rng.uniform(0, 255, (2, 2, 32, 48, 3)).astype(np.float32)
    flow = rng.normal(0, 6, (2, 8, 12, 2)).astype(np.float32)
    want = np.array(Residual(Warp())(flow, *map(quarter_luma, frames)))
    planes = [frame.transpose(0, 3, 1, 2) for frame in frames]
    luma = [plane.reshape(2, 3, 8, 4, 12, 4).mean((3, 5)) for plane in planes]
    grey = [np.einsum("nchw,c->nhw", plane, (0.299, 0.587, 0.114))[:, None] for plane in luma]
    got = np.array(Residual(Warp("channels_first"), "channels_first")(flow.transpose(0, 3, 1, 2), *grey))
    assert np.abs(got.transpose(0, 2, 3, 1) - want).max() <= TOLERANCES["residual_levels"].value


def test_luma_is_exact_and_a_still_pair_leaves_nothing():
    frame = np.random.default_rng(7).integers(0, 256, (1, 32, 48, 3))
    sums = frame.reshape(1, 8, 4, 12, 4, 3).sum((2, 4)) @ [299, 587, 114]
    want = (sums / 16).astype(np.float32) * np.float32(1e-3)
    assert np.array_equal(np.array(quarter_luma(frame.astype(np.float32)))[..., 0], want)
    still = np.array(seen_motion("uv_residual", np.zeros((1, 8, 12, 2), np.float32), frame, frame))
    assert not still.any()


def test_what_shows_no_residual_is_flow_alone():
    flow = np.ones((1, 4, 4, 2), np.float32)
    assert seen_motion("uv", flow, None, None) is flow


def test_flow_images_are_those_that_a_bundle_may_have():
    assert FLOW_ENCODINGS == _manifest.FLOW_ENCODINGS


def test_flow_image_refuses_an_unknown_encoding():
    with pytest.raises(ValueError, match="colour_wheel, uv"):
        FlowImage("hsv")


def test_resize_keeps_a_ramp_a_ramp():
    ramp = np.broadcast_to((np.arange(64) + 0.5)[None, None, :, None], (1, 64, 64, 3)).astype(np.float32)
    got = np.array(BilinearResize(120)(ramp))[0, 60, :, 0]
    want = np.clip((np.arange(120) + 0.5) * 64 / 120, 0.5, 63.5)
    assert np.abs(got - want).max() <= TOLERANCES["resize_ramp"].value


def test_resize_averages_when_it_shrinks():
    stripes = np.zeros((1, 64, 64, 3), np.float32)
    stripes[:, :, ::2] = 100
    shrunk = np.array(BilinearResize(16)(stripes))[0, 1:-1, 1:-1]
    assert np.abs(shrunk - 50).max() < 5
