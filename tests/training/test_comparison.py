"""Figures of plain scores, on hand-made ones whose figures can be worked out."""

import numpy as np
import pytest
from made_videos import VIDEOS

from flowtell.training.comparison import gain, own_originals, ranking_figures, risk_coverage


def test_a_fake_belongs_to_the_video_it_was_made_from():
    names = [(VIDEOS[f].path.stem, VIDEOS[o].path.stem) for f, o in own_originals(VIDEOS)]
    assert names == [("183_253", "183"), ("253_183", "253"), ("id26_id25_0006", "id26_0006")]


def test_what_one_gains_over_another_is_paired():
    good = np.asarray([0.0, 0.1, 0.9, 0.8, 0.2, 0.3, 0.7, 0.4])
    figures = ranking_figures(VIDEOS, good, ["actors(DFD)"])
    assert figures["auc"]["value"] == 1.0
    assert figures["without"]["files"] == 7
    same = gain(VIDEOS, good, 2 * good + 1, ["actors(DFD)"])
    assert all(same[k]["value"] == 0 and same[k]["interval"] == [0, 0] for k in same)
    turned = gain(VIDEOS, good, -good, ["actors(DFD)"])
    assert turned["auc"]["value"] == turned["pairs_ranked_rightly"]["value"] == 1.0


def test_draws_of_one_judge_count_by_their_mean():
    good = np.asarray([0.0, 0.1, 0.9, 0.8, 0.2, 0.3, 0.7, 0.4])
    draws = np.stack([good, -good], axis=1)
    figures = ranking_figures(VIDEOS, draws)
    assert figures["auc"] == {"value": 0.5, "interval": [0.5, 0.5]}
    assert figures["pairs_ranked_rightly"]["value"] == 0.5
    alone, beside = gain(VIDEOS, good, -good), gain(VIDEOS, good, draws)
    assert beside["auc"]["value"] == alone["auc"]["value"] / 2 == 0.5
    assert beside["auc"]["interval"] == [half / 2 for half in alone["auc"]["interval"]]
    assert beside["pairs_ranked_rightly"]["value"] == 0.5


def test_risk_of_the_surest():
    probabilities = [0.9, 0.2, 0.6, 0.45]
    coverage, risk = risk_coverage(probabilities, [1, 1, 1, 0], 0.5)
    assert coverage == pytest.approx([0.25, 0.5, 0.75, 1.0])
    # Surest are 0.9 (right), 0.2 (wrong), 0.6 (right), 0.45 (right).
    assert risk == pytest.approx([0, 1 / 2, 1 / 3, 1 / 4])
