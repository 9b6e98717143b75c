"""Pairs with known flow of which a file is missing or is not what it is called."""

import cv2
import numpy as np
import pytest

from flowtell.__main__ import main
from flowtell.training.flow_quality import middlebury_errors

WIDTH, HEIGHT = 48, 32


def still(image1, image2):
    """Return what a flow network would that sees no motion: of 64 x 64 px, at a quarter."""
    return np.zeros((1, 16, 16, 2), np.float32)


def write_flo(path, flow):
    path.write_bytes(b"PIEH" + np.array(flow.shape[1::-1], "<i4").tobytes() + flow.astype("<f4").tobytes())


@pytest.fixture
def pair(tmp_path):
    folder = tmp_path / "Venus"
    folder.mkdir()
    for name in ("frame10.png", "frame11.png"):
        cv2.imwrite(str(folder / name), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    write_flo(folder / "flow10.flo", np.full((HEIGHT, WIDTH, 2), (3.0, 4.0)))
    return folder


def test_a_whole_pair_is_measured(pair):
    assert middlebury_errors(still, pair.parent) == {"Venus": {"epe": 5.0, "fl_all": 100.0}}


def harm_by_loss(folder):
    (folder / "frame11.png").unlink()


def harm_a_picture(folder):
    (folder / "frame10.png").write_bytes(b"no picture")


def harm_a_size(folder):
    cv2.imwrite(str(folder / "frame11.png"), np.zeros((HEIGHT, WIDTH - 1, 3), np.uint8))


def harm_the_tag(folder):
    (folder / "flow10.flo").write_bytes(b"no flow at all")


def harm_the_end(folder):
    path = folder / "flow10.flo"
    path.write_bytes(path.read_bytes()[:-1])


def harm_all_flow(folder):
    write_flo(folder / "flow10.flo", np.full((HEIGHT, WIDTH, 2), 1e10))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (harm_by_loss, "there is no picture '{}/frame11.png', or it cannot be read: get the pair again"),
        (harm_a_picture, "there is no picture '{}/frame10.png', or it cannot be read: get the pair again"),
        (harm_a_size, "'{}/frame11.png' and its flow10.flo are of 47x32 and 48x32 px: get the pair again"),
        (harm_the_tag, "in '{}' flow10.flo is no .flo file: get the pair again"),
        (harm_the_end, "in '{}' flow10.flo is cut short: it states 48x32 px: get the pair again"),
        (harm_all_flow, "'{}/flow10.flo' knows the flow of no pixel: get the pair again"),
    ],
)
def test_a_harmed_pair_is_one_sentence(harm, said, pair, made_set, capsys):
    harm(pair)
    out = pair.parent / "out"
    words = ["evaluate", made_set.network, "--flow-pairs", pair.parent, "--out", out]
    assert main([str(word) for word in words]) == 2
    assert capsys.readouterr().err == f"flowtell: {said.format(pair)}\n"
    assert not (out / "evaluation.json").exists()
