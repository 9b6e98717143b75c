"""`flowtell train`, as a user runs it."""

import json

import pytest

from flowtell.__main__ import main

SETTINGS = """
encoding = "uv"
input_size = 32
head_units = [8]
width = 16
pair_stride = 1
[fit]
steps = 2
epoch_steps = 2
batch_size = 4
"""


@pytest.fixture
def command(made_set, tmp_path):
    """Arguments of `flowtell` that train a small classifier into `run`."""
    (tmp_path / "run.toml").write_text(SETTINGS)
    places = {"--data": made_set.prepared.folder, "--flow": made_set.network, "--out": tmp_path / "run"}
    options = [text for name, value in places.items() for text in (name, str(value))]
    return ["train", "classifier", "--settings", str(tmp_path / "run.toml"), "--no-plots", *options]


def test_the_next_step_that_it_prints_judges_people_it_was_not_trained_on(command, tmp_path, capsys):
    assert main(command) == 0
    printed = capsys.readouterr().out.splitlines()[-1]
    evaluate = printed.removeprefix("next: flowtell ").split("; ")[0].replace("QUALITY", str(tmp_path / "q"))
    assert main([*evaluate.split(), "--no-plots"]) == 0
    report = json.loads((tmp_path / "q" / "evaluation.json").read_text())
    parts = json.loads((tmp_path / "run" / "split.json").read_text())["parts"]
    assert report["part"] == "test"
    assert len(report["files"]) == len(parts["test"]) < len(parts["train"])
