"""Pseudo-fakes: what is redrawn, what is not, and what the redrawing does to motion."""

import cv2
import numpy as np
import pytest

from flowtell.training.pseudo_fakes import PARTS, PseudoFakeConfig, pseudo_fake, recompressed


@pytest.fixture(scope="module")
def still():
    """A clip in which nothing moves: a smooth picture of 128 px."""
    noise = np.random.default_rng(0).normal(0, 60, (128, 128, 3))
    picture = np.clip(128 + 4 * cv2.GaussianBlur(noise, (0, 0), 3), 0, 255).astype(np.uint8)
    return np.stack([picture] * 5)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_redrawn_and_the_rest_stays_bit_for_bit(still, part):
    made = pseudo_fake(still, part, np.random.default_rng(1))
    changed = (made != still).any(axis=(0, 3))
    assert changed[40:100, 40:90].any()
    border = np.ones((128, 128), bool)
    border[14:114, 14:114] = False
    assert not changed[border].any()
    assert made.shape == still.shape and made.dtype == np.uint8


def test_the_same_state_gives_the_same_clip(still):
    first, second, other = (pseudo_fake(still, "face", np.random.default_rng(s)) for s in (7, 7, 8))
    assert (first == second).all()
    assert (first != other).any()


def test_a_still_face_begins_to_move_by_what_was_asked(still):
    quiet, loud = (
        pseudo_fake(
            still, "face", np.random.default_rng(3), PseudoFakeConfig(jitter_px=(j, j), memory=(0, 0))
        )
        for j in (0.05, 3.0)
    )
    inner = np.s_[:, 50:80, 50:78]
    changes = [np.abs(np.diff(c[inner].astype(float), axis=0)).mean() for c in (still, quiet, loud)]
    assert changes[0] == 0
    assert changes[2] > 2 * changes[1] > 0


def test_compression_keeps_shape_and_loses_more_at_a_higher_factor(still):
    errors = [np.abs(recompressed(still, crf).astype(float) - still).mean() for crf in (18, 40)]
    assert 0 < errors[0] < errors[1] < 40
    assert recompressed(still, 30).shape == still.shape
