"""The engine's speed and endurance: figures worked out by hand, known faces, and one short run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import flowtell
from flowtell import samples
from flowtell.benchmarks import engine
from flowtell.benchmarks.endurance import crossing_figures, is_flat, main
from flowtell.benchmarks.engine import summary
from flowtell.benchmarks.engine_table import table_of
from flowtell.benchmarks.machine import machine_context
from flowtell.benchmarks.rendered import cross, crowd, write_scene


def entry(pairs, seconds, whole_s, anytime_s, anytime_verdict):
    looked = {"pairs": 320, "s": whole_s, "verdict": "fake", "stages_ms": {"detector": 1800.0 * whole_s}}
    original = {"pairs": 64, "s": 16.0, "stages_ms": {"flow": 12000.0, "predict": 4000.0}}
    ours = {
        "pairs": pairs,
        "s": seconds,
        "verdict": "fake",
        "stages_ms": {"decode": 100.0, "detector": 900.0 * seconds},
        "whole": looked,
    }
    return {
        "done": True,
        "gemm_gflops": 100.0,
        "flowtell, cpu": ours | {"anytime": {"pairs": 16, "s": anytime_s, "verdict": anytime_verdict}},
        "flowtell, openvino bf16": ours | {"s": seconds / 2, "verdict": anytime_verdict},
        "original demo in Keras": original | {"whole": original},
    }


def test_a_summary_is_of_its_files():
    files = {
        "a": entry(64, 8.0, 40.0, 2.0, "fake"),
        "b": entry(64, 4.0, 40.0, 8.0, "original"),
        "unfinished": {},
    }
    found = summary({"files": files, "threads": 2, "gflop_per_pair": 20.0})
    assert found["files"] == 2
    ours, quick, original = (
        found[name] for name in ("flowtell, cpu", "flowtell, openvino bf16", "original demo in Keras")
    )
    assert ours["times_the_original"] == {"median": 3.0, "quartiles": [2.5, 3.5]}
    assert quick["times_the_original"]["median"] == 6.0
    assert original["times_the_original"]["median"] == 1.0
    assert (ours["other_verdicts"], quick["other_verdicts"]) == (0, 1)
    assert "other_verdicts" not in original
    assert ours["whole"]["pairs_per_s"]["median"] == 8.0
    assert ours["whole"]["times_the_original"]["median"] == 2.0
    assert ours["whole"]["detector_share_of_wall"] == pytest.approx(0.9)
    assert "anytime" not in quick
    assert ours["pairs_per_s"]["median"] == 12.0
    assert ours["files_per_s"]["median"] == pytest.approx((1 / 8 + 1 / 4) / 2, abs=1e-3)
    # 10.8 s of detector time on two threads, of 12 s of wall time; 128 pairs of 20 GFLOP in 5.4 s
    assert ours["detector_share_of_wall"] == pytest.approx(0.45)
    assert ours["detector_gflops"] == pytest.approx(128 * 20 / 5.4)
    assert ours["detector_share_of_gemm"] == pytest.approx(128 * 20 / 5.4 / 100)
    assert ours["stage_share"]["decode"] == pytest.approx(200 / 11000)
    assert ours["anytime"]["flips"] == {"to fake": 0, "to original": 1}
    assert ours["anytime"]["times_faster"]["median"] == 12.5
    assert ours["anytime"]["times_faster_in_all"] == 8.0
    assert ours["anytime"]["pairs_share"] == 0.05
    # 16 s of the original's beside 2 s and 8 s
    assert ours["anytime"]["times_the_original"]["median"] == 5.0


def test_the_page_has_the_table_of_the_stored_result():
    root = Path(__file__).resolve().parents[2]
    page = (root / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    result, shown = re.search(
        r"benchmarks\.engine_table (\S+) -->\n(.*?)\n<!-- end -->", page, re.DOTALL
    ).groups()
    stored = json.loads((root / result).read_text(encoding="utf-8"))
    assert shown.splitlines() == table_of(stored["summary"])
    assert stored["summary"] == summary(stored)


def test_a_run_goes_on_in_its_own_result_and_leaves_any_other_as_it_is(tiny_bundle, tmp_path, capsys):
    out = tmp_path / "result.json"
    own = {
        "kind": "flowtell.benchmarks.engine",
        "bundle_sha256": flowtell.Bundle.open(tiny_bundle).sha256,
        "machine": machine_context(),
        "files": {"a.mp4": {"done": True}},
    }
    out.write_text(json.dumps(own))
    assert engine._opened(out, tiny_bundle)["files"] == own["files"]
    others = {
        "no result": "holds no run of this benchmark",
        json.dumps({"kind": "flowtell bench"}): "holds no run of this benchmark",
        json.dumps(own | {"bundle_sha256": "0" * 64}): "holds a run of another bundle or machine: name a new",
        json.dumps(own | {"machine": {"cpu": "another"}}): "holds a run of another bundle or machine: name a",
    }
    words = [str(samples.natural_path()), "--bundle", str(tiny_bundle), "--out", str(out)]
    for text, says in others.items():
        out.write_text(text)
        assert engine.main(words) == 2
        assert f"'{out}' {says}" in capsys.readouterr().err
        assert out.read_text() == text


@pytest.mark.parametrize("scene", [cross(4), crowd(2)])
def test_scenes_show_a_face_at_every_centre(scene):
    frames = list(scene.frames)
    for number, frame in enumerate(frames):
        for face in range(scene.faces):
            x, y = (round(value) for value in scene.centres(number, face))
            around = frame[y - 60 : y + 60, x - 60 : x + 60]
            assert np.ptp(around.mean(axis=2)) > 60


def test_faces_that_cross_keep_their_tracks(tiny_bundle, tmp_path):
    scene = cross()
    path = write_scene(tmp_path / "cross.mp4", scene.frames)
    with flowtell.Detector.open(tiny_bundle) as detector:
        result = detector.detect(path)
    found = crossing_figures(result, scene)
    assert found["faces"] == 2
    # hidden behind the other for a while, a face may begin a new track; none may take over the other's
    assert found["switches"] == 0
    assert 2 <= found["tracks"] <= 3
    assert all(face.fake_probability is not None for face in result.faces)


def test_a_soak_needs_files_after_the_first(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["soak", "--files", "24", "--out", str(tmp_path / "endurance.json")])
    assert "--files must be at least 25" in capsys.readouterr().err


def test_a_soak_compares_memory_at_rest(tiny_bundle, tmp_path):
    out = tmp_path / "endurance.json"
    code = main(["soak", "--bundle", str(tiny_bundle), "--files", "26", "--out", str(out)])
    figures = json.loads(out.read_text())["soak, tiny"]
    assert (figures["files"], sum(figures["states"].values())) == (26, 26)
    assert figures["after_files"] == [20, 21, 22, 23, 24, 26]
    resting_mb = figures["at_rest_mb"]
    assert len(resting_mb) == 6
    assert figures["holds"] == (max(resting_mb[1:]) <= 1.05 * resting_mb[0])
    assert (code == 0) == figures["holds"]


def test_memory_that_rises_at_any_time_is_not_flat():
    assert is_flat([200.0, 190.0, 210.0, 205.0])
    assert not is_flat([200.0, 190.0, 211.0, 200.0])


def test_short_checks_hold(tiny_bundle, tmp_path, capsys):
    out = tmp_path / "endurance.json"
    words = ["threads", "streams", "--bundle", str(tiny_bundle), "--calls", "64", "--streams", "1"]
    assert main([*words, "--out", str(out)]) == 0
    kept = json.loads(out.read_text())
    assert kept["threads, tiny"]["identical"] == 64
    assert kept["streams, tiny"]["clips"] == 6
    assert capsys.readouterr().out.count('"holds": true') == 2
