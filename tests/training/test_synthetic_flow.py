"""Synthetic pairs: the flow is the motion, and the seed is the pair."""

import cv2
import numpy as np
import pytest

from flowtell.training.flow_batches import FlowBatches, TeacherPairs
from flowtell.training.synthetic_flow import MotionConfig, synthetic_pair
from flowtell.training.textures import load_textures


@pytest.fixture(scope="module")
def textures():
    return load_textures()


def test_frame_two_at_the_flow_is_frame_one(textures):
    config = MotionConfig(size_px=128, still_share=0)
    still, moved = [], []
    for seed in range(20):
        pair = synthetic_pair(textures, config, np.random.default_rng(seed))
        y, x = np.mgrid[0:128, 0:128].astype(np.float32)
        back = cv2.remap(pair.image2, x + pair.flow[..., 0], y + pair.flow[..., 1], cv2.INTER_LINEAR)
        inside = (np.abs(x + pair.flow[..., 0] - 63.5) < 60) & (np.abs(y + pair.flow[..., 1] - 63.5) < 60)
        moved.append(np.abs(back.astype(float) - pair.image1)[inside].mean())
        still.append(np.abs(pair.image2.astype(float) - pair.image1)[inside].mean())
    assert np.mean(moved) < 0.6 * np.mean(still)


def test_the_same_seed_gives_the_same_pair(textures):
    pairs = [synthetic_pair(textures, MotionConfig(), np.random.default_rng(7)) for _ in range(2)]
    for name in ("image1", "image2", "flow"):
        assert (getattr(pairs[0], name) == getattr(pairs[1], name)).all()


def test_the_batch_of_a_step_is_always_the_same(textures):
    def batches(seed):
        return FlowBatches(textures, MotionConfig(size_px=64), 2, seed)

    (got, _), target = batches(1).batch(4)
    (want, _), want_target = batches(1).batch(4)
    assert (got == want).all()
    assert (target == want_target).all()
    assert target.shape == (2, 16, 16, 2)
    for other in (batches(1).batch(5), batches(2).batch(4)):
        assert (other[1] != target).any()


def test_a_mirrored_teacher_pair_mirrors_u():
    rng = np.random.default_rng(0)
    flow = np.zeros((1, 64, 64, 2), np.float16)
    flow[..., 0] = 3
    flow[..., 1] = 2
    teacher = TeacherPairs(rng.integers(0, 256, (1, 2, 64, 64, 3)).astype(np.uint8), flow)
    seen = {tuple(teacher.draw(64, rng).flow[0, 0].tolist()) for _ in range(20)}
    assert seen == {(3.0, 2.0), (-3.0, 2.0)}


@pytest.fixture
def moved_teacher():
    """A pair of which frame 2 is frame 1 moved by (3, 2) px, as its flow says."""
    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.integers(0, 256, (80, 80, 3)).astype(np.uint8), (0, 0), 3)
    moved = np.roll(picture, (2, 3), axis=(0, 1))
    flow = np.broadcast_to(np.float16([3, 2]), (1, 80, 80, 2))
    return TeacherPairs(np.stack([picture, moved])[None], flow)


def _looked_up(pair):
    y, x = np.mgrid[: len(pair.flow), : len(pair.flow)].astype(np.float32)
    found = cv2.remap(pair.image2, x + pair.flow[..., 0], y + pair.flow[..., 1], cv2.INTER_LINEAR)
    return found[16:-16, 16:-16].astype(float), pair.image1[16:-16, 16:-16].astype(float)


@pytest.mark.parametrize(("zoom", "shift_px"), [(1.0, 6), (1.4, 0), (1.4, 6)])
def test_the_flow_of_a_varied_teacher_pair_still_leads_from_frame_to_frame(moved_teacher, zoom, shift_px):
    rng = np.random.default_rng(1)
    motions = set()
    for _ in range(20):
        pair = moved_teacher.draw(64, rng, zoom, shift_px)
        assert pair.image1.shape == pair.image2.shape == (64, 64, 3)
        found, wanted = _looked_up(pair)
        # Resampling blurs by a few grey levels; a flow that is off by a pixel costs over ten.
        assert np.abs(found - wanted).mean() < 2
        motions.add(tuple(np.round(np.abs(pair.flow[32, 32]), 2).tolist()))
    assert len(motions) > 5
