"""The model study's tables and pictures, of a run that lacks what the stored one has."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from flowtell.training.comparison import gain, ranking_figures
from flowtell.training.labels import LabelledVideo
from flowtell.training.run_folder import write_json

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "draw_study.py"
# Names that say of no fake which original it was made from, all fakes of one person, and nothing set aside.
VIDEOS = [LabelledVideo(Path(f"clip{k}.mp4"), k % 2, frozenset([f"{k % 2 or k}"]), "x") for k in range(8)]
SCORES, OTHERS = np.arange(8.0), np.array([0, 1, 0, 1, 3, 2, 0, 1.0])


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("draw_study", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def drawn(script, folder, monkeypatch, capsys):
    """Return the rows that the script prints of a folder, headings left out."""
    pytest.importorskip("matplotlib", reason="the pictures are drawn with matplotlib")
    monkeypatch.setattr(sys, "argv", ["draw_study.py", str(folder)])
    script.main()
    return [line for line in capsys.readouterr().out.splitlines() if line and not line.startswith("|---")]


def test_a_dash_stands_for_what_a_run_cannot_tell(script, tmp_path, monkeypatch, capsys):
    first = ranking_figures(VIDEOS, SCORES)
    assert first["pairs_ranked_rightly"] is None
    assert first["auc"]["interval"] == [None, None]
    quality = first | {"risk_coverage": {"coverage": [0.5, 1.0], "risk": [0.0, 0.25]}}
    against = gain(VIDEOS, OTHERS, SCORES)
    row = {"factor": "head", "setting": "as it is", "figures": first, "against_first": against}
    other = row | {"setting": "another", "figures": ranking_figures(VIDEOS, OTHERS)}
    curve = [{"share": share, "aucs": [0.6], "aucs_without": [0.5]} for share in (0.5, 1.0)]
    stages = {
        "quality": quality,
        "contenders": {"frame_rate": other["figures"] | {"gain": against}},
        "study": {"factors": [row, other], "learning_curve": curve},
    }
    for name, figures in stages.items():
        write_json(tmp_path / f"{name}.json", {"recipe": {}, "figures": figures})
    rows = drawn(script, tmp_path, monkeypatch, capsys)
    # of 16 pairs of a fake and an original SCORES rank 10 rightly, OTHERS 12
    assert rows[1] == "| flowtell | 0.62 (-) | - | - | |"
    assert rows[2] == "| more than 24 frames a second | 0.75 (-) | - | - | +0.12 (-) |"
    assert rows[-1] == "| head | another | 0.75 (-) | - | - | +0.12 (-) |"
    for name in ("risk-coverage", "learning-curve", "factors"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_a_stage_that_has_not_run_is_left_out(script, tmp_path, monkeypatch, capsys):
    figures = ranking_figures(VIDEOS, SCORES) | {"risk_coverage": {"coverage": [1.0], "risk": [0.25]}}
    write_json(tmp_path / "quality.json", {"recipe": {}, "figures": figures})
    rows = drawn(script, tmp_path, monkeypatch, capsys)
    assert [row.split(" | ")[0] for row in rows] == ["| judged by", "| flowtell", "| always *fake*"]
    assert [path.name for path in tmp_path.glob("*.png")] == ["risk-coverage.png"]


def test_a_folder_without_figures_is_wrong_usage(script, tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit, match="2"):
        drawn(script, tmp_path, monkeypatch, capsys)
    assert "holds neither quality.json nor study.json: run train_default.py first" in capsys.readouterr().err
