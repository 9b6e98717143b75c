"""The demo: run as a user runs it, and its colours against an independent drawing of the same wheel."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from tolerances import TOLERANCES

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def drawing() -> ModuleType:
    spec = importlib.util.spec_from_file_location("flow_colours", EXAMPLES / "flow_colours.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_wheel_is_the_middlebury_one(drawing: ModuleType) -> None:
    flow_vis = pytest.importorskip("flow_vis", reason="the independent drawing of the wheel")
    flow = np.random.default_rng(0).normal(0, 3, (64, 64, 2)).astype(np.float32)
    ours = drawing.flow_colours(flow, float(np.hypot(flow[..., 0], flow[..., 1]).max()))
    # flow_vis cuts to whole levels, once in the wheel and once in the picture, where we round once.
    assert (
        np.abs(ours.astype(int) - flow_vis.flow_to_color(flow)).max()
        <= TOLERANCES["flow_colour_levels"].value
    )


def test_still_is_white_and_longer_than_full_is_full(drawing: ModuleType) -> None:
    flow = np.array([[[0, 0], [2, 0], [20, 0], [-2, 0]]], dtype=np.float32)
    still, right, far_right, left = drawing.flow_colours(flow, 2.0)[0]
    assert still.tolist() == [255, 255, 255]
    assert right.tolist() == far_right.tolist() == [255, 0, 0]
    assert left[0] == 0


def run_demo(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(EXAMPLES / "demo.py"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def test_demo_prints_a_table_and_draws_a_picture(tiny_bundle: Path, tmp_path: Path) -> None:
    plt = pytest.importorskip("matplotlib.pyplot", reason="the picture is drawn with matplotlib")
    done = run_demo("--bundle", tiny_bundle, "--out", tmp_path / "demo.png")
    assert (done.returncode, done.stderr) == (0, "")
    assert "rendered" in done.stdout
    for name in ("natural", "swapped"):
        assert re.search(
            rf"^{name}\.mp4  ok  +(original|fake)  +[01]\.\d{{3}}  +96 of 96  +1 ", done.stdout, re.M
        )
    picture = plt.imread(tmp_path / "demo.png")
    assert picture.shape[1] > picture.shape[0] > 800
    assert len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)) > 1000


def test_demo_without_a_bundle_says_so_in_one_sentence(tmp_path: Path) -> None:
    done = run_demo("--bundle", tmp_path / "nowhere", "--out", tmp_path / "demo.png")
    assert done.returncode == 1
    assert re.fullmatch(r"demo: there is no bundle at .*\n", done.stderr)
    assert not (tmp_path / "demo.png").exists()


def test_demo_draws_what_a_bundle_abstains_from(tiny_bundle_copy: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib.pyplot", reason="the picture is drawn with matplotlib")
    manifest = tiny_bundle_copy / "manifest.json"
    stated = {**json.loads(manifest.read_text()), "least_evidence": {"pairs": 9999, "face_px": 0}}
    manifest.write_text(json.dumps(stated))
    done = run_demo("--bundle", tiny_bundle_copy, "--out", tmp_path / "demo.png")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(re.findall(r"thin_evidence  undecided  -  ", done.stdout)) == 2
    assert (tmp_path / "demo.png").stat().st_size > 10_000


@pytest.mark.parametrize("name", ["nowhere/demo.png", "demo.xyz"])
def test_demo_says_in_one_sentence_that_it_cannot_write(tiny_bundle: Path, tmp_path: Path, name: str) -> None:
    pytest.importorskip("matplotlib.pyplot", reason="the picture is drawn with matplotlib")
    done = run_demo("--bundle", tiny_bundle, "--out", tmp_path / name)
    assert done.returncode == 1
    assert re.fullmatch(r"demo: the picture '.*' cannot be written: .*; give another --out\n", done.stderr)
