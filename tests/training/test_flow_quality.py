"""Flow against ground truth: the reader and the scores, checked with published figures."""

import numpy as np
import pytest

from flowtell import InputError
from flowtell.training.flow_batches import TeacherPairs
from flowtell.training.flow_features import flow_step
from flowtell.training.flow_loss import epe
from flowtell.training.flow_quality import (
    flow_of_any_size,
    middlebury_errors,
    official_distance,
    read_flo,
    teacher_distance,
)
from flowtell.training.models import build_flow_network

# Mean length of the true flow, which is the error of zero flow, as stated with the development data.
ZERO_FLOW_EPE_PX = {"Dimetrodon": 2.058, "Grove2": 3.090, "Urban2": 8.393, "Venus": 3.802}


@pytest.mark.parametrize("name", ZERO_FLOW_EPE_PX)
def test_zero_flow_is_as_wrong_as_is_known(name, dev_data):
    truth, known = read_flo(dev_data / "flow" / name / "flow10.flo")
    assert epe(np.zeros_like(truth), truth, known) == pytest.approx(ZERO_FLOW_EPE_PX[name], abs=5e-4)


def test_files_that_are_no_flow_are_refused(tmp_path):
    path = tmp_path / "x.flo"
    path.write_bytes(b"nothing of the sort")
    with pytest.raises(ValueError, match=r"x\.flo is no \.flo file"):
        read_flo(path)
    path.write_bytes(b"PIEH" + np.array([640, 480], "<i4").tobytes())
    with pytest.raises(ValueError, match="cut short: it states 640x480"):
        read_flo(path)


def test_any_size_is_padded_and_cut_back():
    def mean_of_columns(image1, image2):
        assert image1.shape == (1, 128, 64, 3)
        return np.broadcast_to(np.arange(16, dtype=np.float32)[None, None, :, None], (1, 32, 16, 2))

    flow = flow_of_any_size(mean_of_columns, *np.zeros((2, 70, 50, 3), np.uint8))
    assert flow.shape == (70, 50, 2)
    # Bilinear between quarter-size pixels, whose centres lie 1.5, 5.5, ... px from the border.
    assert flow[0, [0, 1, 2, 5], 0].tolist() == [0, 0, 0.125, 0.875]


def test_middlebury_wants_its_files(tmp_path):
    with pytest.raises(InputError, match=r"flow10\.flo"):
        middlebury_errors(flow_step(build_flow_network("tiny")), tmp_path)


def test_a_network_that_sees_no_motion_is_as_far_as_the_official_flow_is_long(dev_data, tmp_path):
    network = build_flow_network("tiny")
    network.set_weights([np.zeros_like(w) for w in network.get_weights()])
    step = flow_step(network)
    folder = dev_data / "flow" / "sintel_frame_0010"
    theirs, known = read_flo(folder / "official_pwcnet_flow.flo")
    assert known.all()
    assert official_distance(step, folder) == pytest.approx(np.linalg.norm(theirs, axis=-1).mean())
    (tmp_path / "official_pwcnet_flow.flo").write_bytes((folder / "official_pwcnet_flow.flo").read_bytes())
    with pytest.raises(FileNotFoundError, match=r"lacks frame_0010\.png"):
        official_distance(step, tmp_path)


def test_a_still_teacher_is_at_the_distance_of_the_flow():
    network = build_flow_network("tiny")
    frames = np.random.default_rng(0).integers(0, 256, (3, 2, 64, 64, 3)).astype(np.uint8)
    still = TeacherPairs(frames, np.zeros((3, 64, 64, 2), np.float16))
    figures = teacher_distance(flow_step(network), still, batch_size=2)
    flow = np.array(network(*frames.astype(np.float32).swapaxes(0, 1))[-1]) * 20
    assert figures["epe"] == pytest.approx(np.linalg.norm(flow, axis=-1).mean(), rel=1e-3)
    assert figures["epe_of_zero_flow"] == 0
