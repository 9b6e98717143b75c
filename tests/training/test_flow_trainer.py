"""The flow trainer: it learns, it resumes, and its loss is the paper's."""

import json

import numpy as np
import pytest

from flowtell.training.flow_loss import LEVEL_WEIGHTS, epe, fl_all, multiscale_loss
from flowtell.training.flow_trainer import FlowTraining, train_flow
from flowtell.training.models import build_flow_network
from flowtell.training.synthetic_flow import MotionConfig


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


SETTINGS = FlowTraining(
    preset="tiny",
    steps=4,
    epoch_steps=2,
    batch_size=2,
    mixed_precision=False,
    motion=MotionConfig(size_px=64, translation_px=4),
)


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(tmp_path, monkeypatch):
    whole = train_flow(SETTINGS, tmp_path / "whole")

    class KilledError(Exception):
        pass

    from flowtell.training import flow_trainer

    real = flow_trainer._Checkpoint.on_epoch_end

    def killed_after_the_first_epoch(self, epoch, logs=None):
        real(self, epoch, logs)
        if epoch == 0:
            raise KilledError

    monkeypatch.setattr(flow_trainer._Checkpoint, "on_epoch_end", killed_after_the_first_epoch)
    with pytest.raises(KilledError):
        train_flow(SETTINGS, tmp_path / "parts")
    monkeypatch.setattr(flow_trainer._Checkpoint, "on_epoch_end", real)
    parts = train_flow(SETTINGS, tmp_path / "parts")

    weights = []
    for path in (whole, parts):
        network = build_flow_network("tiny")
        network.load_weights(path)
        weights.append(network.get_weights())
    assert all((a == b).all() for a, b in zip(*weights, strict=True))
    epochs = [
        json.loads(line)["epoch"] for line in (tmp_path / "parts" / "log.jsonl").read_text().splitlines()
    ]
    assert epochs == [1, 2]


def test_a_folder_of_another_run_is_refused(tmp_path):
    (tmp_path / "settings.json").write_text("{}")
    with pytest.raises(ValueError, match="other settings"):
        train_flow(SETTINGS, tmp_path)
