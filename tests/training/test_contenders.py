"""What the detector is compared with, each on input whose answer is known."""

import cv2
import numpy as np
import pytest
from made_videos import video

from flowtell import InputError, samples
from flowtell.training.contenders import dis_flow, evenly, frame_rate_scores, interleaved
from flowtell.training.mesonet import load_meso4
from flowtell.training.recipe_figures import _baseline_scores


def test_dis_flow_is_in_pixels_of_the_images():
    noise = np.random.default_rng(0).normal(0, 80, (160, 160, 3))
    picture = np.clip(128 + 3 * cv2.GaussianBlur(noise, (0, 0), 2), 0, 255).astype(np.uint8)
    flow = dis_flow(picture[16:144, 16:144], picture[15:143, 13:141])
    assert flow.shape == (32, 32, 2)
    # The second window lies 3 px further left and 1 px higher, so the picture moves right and down.
    assert np.median(flow, axis=(0, 1)) == pytest.approx([3, 1], abs=0.1)


def test_places_are_spread_from_the_first_pair_to_the_last():
    clips = np.zeros((3, 5, 8, 8, 3), np.uint8)
    assert evenly(clips, 100) == [(c, k) for c in range(3) for k in range(4)]
    assert evenly(clips, 3) == [(0, 0), (1, 2), (2, 3)]


def test_draws_share_nothing_where_there_is_enough():
    draws = interleaved(256, 48, 5)
    assert [len(draw) for draw in draws] == [48] * 5
    assert len(np.unique(np.concatenate(draws))) == 240
    assert all(np.diff(draw).max() <= 6 for draw in draws)
    assert [len(draw) for draw in interleaved(100, 48, 5)] == [48] * 5
    assert all(draw.tolist() == list(range(7)) for draw in interleaved(7, 48, 5))


def test_the_baseline_judges_by_each_draw_alone():
    """A fake shows itself in every fifth pair, which is what the first of five draws is."""
    videos = [video(f"id{person}_{label}", label) for person in range(6) for label in (0, 1)]
    rng = np.random.default_rng(0)
    of_pairs = {}
    for position, each in enumerate(videos):
        of_pairs[position] = rng.normal(size=(40, 4))
        of_pairs[position][::5, 0] += 9 * each.label
    scores = _baseline_scores(of_pairs, videos, 8, 5)
    labels = np.asarray([each.label for each in videos])
    assert scores.shape == (12, 5)
    apart = [scores[labels == 1, k].min() > scores[labels == 0, k].max() for k in range(5)]
    assert apart == [True, False, False, False, False]
    assert _baseline_scores(of_pairs, videos, None, 1).shape == (12, 1)


def test_only_the_container_is_asked_for_its_frame_rate():
    assert frame_rate_scores([samples.natural_path()]).tolist() == [1.0]


def test_meso4_tells_real_by_its_own_weights_and_refuses_others(dev_data, tmp_path):
    model = load_meso4(dev_data / "weights" / "mesonet" / "Meso4_DF.h5")
    # As many as the paper has it.
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == 27_977
    faces = np.random.default_rng(0).uniform(size=(2, 256, 256, 3)).astype(np.float32)
    real = np.asarray(model(faces))
    assert real.shape == (2, 1)
    assert ((real > 0) & (real < 1)).all()
    (tmp_path / "no.h5").write_bytes(b"no weights")
    with pytest.raises(InputError, match="holds no weights of Meso4"):
        load_meso4(tmp_path / "no.h5")
