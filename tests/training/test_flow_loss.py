"""The flow's loss is the paper's, and its errors are the benchmarks'."""

import numpy as np
import pytest

from flowtell.training.flow_loss import LEVEL_WEIGHTS, epe, fl_all, multiscale_loss


def test_loss_sums_levels_as_the_paper():
    target = np.full((1, 16, 16, 2), 20.0, np.float32) * np.float32([0.6, 0.8])
    flows = [np.zeros((1, 16 >> k, 16 >> k, 2), np.float32) for k in (4, 3, 2, 1, 0)]
    want = sum(w * 4**k for w, k in zip(LEVEL_WEIGHTS, range(5), strict=True))
    assert float(multiscale_loss(target, flows, 20.0)) == pytest.approx(want)


def test_epe_ignores_unknown_pixels():
    truth = np.zeros((4, 4, 2), np.float32)
    truth[0, 0] = 1e10
    flow = np.full((4, 4, 2), (3.0, 4.0), np.float32)
    valid = np.abs(truth).max(-1) < 1e9
    assert epe(flow, truth, valid) == 5.0
    assert fl_all(flow, truth, valid) == 100.0
    with pytest.raises(ValueError, match="no pixel"):
        epe(flow, truth, np.zeros((4, 4), bool))
