"""The engine's speed and endurance: figures worked out by hand, known faces, and one short run."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import flowtell
from flowtell import samples
from flowtell.benchmarks import engine
from flowtell.benchmarks.busy_time import covered_s, watched_calls
from flowtell.benchmarks.endurance import crossing_figures, is_flat, main
from flowtell.benchmarks.engine_summary import summary
from flowtell.benchmarks.engine_table import table_of
from flowtell.benchmarks.machine import machine_context
from flowtell.benchmarks.rendered import cross, crowd, write_scene


def row(files, pairs, seconds, whole_s, anytime_s, anytime_verdict):
    """What is kept of a row of files: 4 clips of all, and every pair of the first."""

    def ours(pairs, s, *verdicts, per_s=900.0):
        stages = {"decode": 100.0, "detector": per_s * s}
        return {
            "files": len(verdicts),
            "pairs": pairs,
            "s": s,
            "verdicts": list(verdicts),
            "stages_ms": stages,
        }

    def original(files, pairs, s):
        return {
            "files": files,
            "pairs": pairs,
            "s": s,
            "stages_ms": {"flow": 750.0 * s, "predict": 250.0 * s},
        }

    fakes = ["fake"] * (len(files) - 1)
    whole = ours(320, whole_s, "fake", per_s=1800.0)
    return {
        "files": list(files),
        "done": True,
        "gemm_gflops": 100.0,
        "sampled": {
            "flowtell, cpu": ours(pairs, seconds, *fakes, "fake"),
            "flowtell, openvino bf16": ours(pairs, seconds / 2, *fakes, anytime_verdict),
            # it finds no face in one of them
            "original demo in Keras": original(len(files) - 1, pairs // 2, 16.0),
        },
        "alone": {files[0]: {"flowtell, cpu": ours(64, seconds, "fake")}, files[1]: {}},
        "whole": {
            files[0]: {
                "flowtell, cpu": whole,
                "flowtell, openvino bf16": whole,
                "original demo in Keras": original(1, 64, 16.0),
            },
            files[1]: {},
        },
        "anytime": {files[0]: {"flowtell, cpu": ours(16, anytime_s, anytime_verdict)}, files[1]: {}},
    }


def test_a_summary_is_of_its_rows():
    rows = [
        row("ab", 128, 8.0, 40.0, 2.0, "fake"),
        row("cd", 128, 4.0, 40.0, 8.0, "original"),
        {"files": ["e"], "sampled": {}, "alone": {}, "whole": {}, "anytime": {}},
    ]
    found = summary({"rows": rows, "threads": 2, "gflop_per_pair": 20.0})
    assert (found["files"], found["rows"]) == (4, 2)
    ours, quick, original = (
        found[name] for name in ("flowtell, cpu", "flowtell, openvino bf16", "original demo in Keras")
    )
    assert (ours["files"], original["files"]) == (4, 2)
    assert ours["times_the_original"] == {"median": 6.0, "quartiles": [5.0, 7.0]}
    assert quick["times_the_original"]["median"] == 12.0
    assert original["times_the_original"]["median"] == 1.0
    assert (ours["other_verdicts"], quick["other_verdicts"]) == (0, 1)
    assert "other_verdicts" not in original
    assert (ours["alone"]["files"], ours["alone"]["pairs_per_s"]["median"]) == (2, 12.0)
    assert "alone" not in original
    assert ours["whole"]["pairs_per_s"]["median"] == 8.0
    assert ours["whole"]["times_the_original"]["median"] == 2.0
    assert ours["whole"]["detector_share_of_wall"] == pytest.approx(0.9)
    assert "anytime" not in quick
    assert ours["pairs_per_s"]["median"] == 24.0
    assert ours["files_per_s"]["median"] == pytest.approx((2 / 8 + 2 / 4) / 2, abs=1e-3)
    # 10.8 s of detector time on two threads, of 12 s of wall time; 256 pairs of 20 GFLOP in 5.4 s
    assert ours["detector_share_of_wall"] == pytest.approx(0.45)
    assert ours["detector_gflops"] == pytest.approx(256 * 20 / 5.4)
    assert ours["detector_share_of_gemm"] == pytest.approx(256 * 20 / 5.4 / 100)
    assert ours["stage_share"]["decode"] == pytest.approx(200 / 11000)
    assert ours["anytime"]["flips"] == {"to fake": 0, "to original": 1}
    assert ours["anytime"]["times_faster"]["median"] == 12.5
    assert ours["anytime"]["times_faster_in_all"] == 8.0
    assert ours["anytime"]["pairs_share"] == 0.05
    # 16 s of the original's beside 2 s and 8 s
    assert ours["anytime"]["times_the_original"]["median"] == 5.0


def test_time_at_work_is_counted_once_however_many_clips_are_judged():
    assert covered_s([(1.0, 3.0), (2.0, 4.0), (0.0, 1.5), (6.0, 7.0)], 0.5, 6.5) == 4.0
    assert covered_s([], 0.0, 1.0) == covered_s([(2.0, 3.0)], 0.0, 1.0) == 0.0
    sampled = {"files": 1, "pairs": 64, "s": 4.0, "verdicts": ["fake"], "stages_ms": {"detector": 5000.0}}
    rows = [
        {"files": [name], "done": True, "gemm_gflops": 100.0, "whole": {}, "alone": {}, "anytime": {}}
        | {"sampled": {"flowtell, cpu": sampled | {"detector_at_work_s": work_s}}}
        for name, work_s in (("a", 3.0), ("b", 4.0))
    ]
    found = summary({"rows": rows, "threads": 2, "gflop_per_pair": 20.0})
    assert found["flowtell, cpu"]["detector_at_work"] == 0.875
    assert any("4 clips: flowtell, cpu 88%." in line for line in table_of(found))


def test_calls_of_a_detector_are_noted_while_they_are_watched(tiny_bundle):
    clip = next(flowtell.iter_face_clips(samples.natural_path(), tiny_bundle)).frames
    with flowtell.Detector.open(tiny_bundle, provider="cpu") as detector:
        begun_s = time.perf_counter()
        with watched_calls(detector) as calls:
            detector.score_clips(np.stack([clip, clip]))
        ended_s = time.perf_counter()
        detector.score_clips(clip[None])
        assert len(calls) == 2
        assert 0 < covered_s(calls, begun_s, ended_s) <= ended_s - begun_s


def test_the_page_has_the_tables_of_the_stored_results():
    root = Path(__file__).resolve().parents[2]
    page = (root / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    tables = re.findall(r"benchmarks\.engine_table (\S+) -->\n(.*?)\n<!-- end -->", page, re.DOTALL)
    assert len(tables) == 4
    for result, shown in tables:
        stored = json.loads((root / result).read_text(encoding="utf-8"))
        assert shown.splitlines() == table_of(stored["summary"])
        assert stored["summary"] == summary(stored)


def test_a_run_goes_on_in_its_own_result_and_leaves_any_other_as_it_is(tiny_bundle, tmp_path, capsys):
    out = tmp_path / "result.json"
    own = {
        "kind": "flowtell.benchmarks.engine",
        "bundle_sha256": flowtell.Bundle.open(tiny_bundle).sha256,
        "machine": machine_context(),
        "original_judges": "the frames of the engine's clips",
        "row": 6,
        "rows": [{"files": ["a.mp4"], "done": True}],
    }
    out.write_text(json.dumps(own))
    assert engine._opened(out, tiny_bundle, 6)["rows"] == own["rows"]
    others = {
        "no result": "holds no run of this benchmark",
        json.dumps({"kind": "flowtell bench"}): "holds no run of this benchmark",
        json.dumps({name: value for name, value in own.items() if name != "rows"}): "holds no run of this",
        json.dumps(own | {"bundle_sha256": "0" * 64}): "holds a run of another bundle, machine",
        json.dumps(own | {"row": 1}): "holds a run of another bundle, machine or --row: name a new file",
        json.dumps(own | {"machine": {"cpu": "another"}}): "holds a run of another bundle, machine",
    }
    words = [str(samples.natural_path()), "--bundle", str(tiny_bundle), "--out", str(out)]
    for text, says in others.items():
        out.write_text(text)
        assert engine.main(words) == 2
        assert f"'{out}' {says}" in capsys.readouterr().err
        assert out.read_text() == text


def test_rows_are_of_so_many_videos_and_keep_what_was_measured(tmp_path):
    videos = [tmp_path / "private" / f"{name}.mp4" for name in "abcde"]
    args = SimpleNamespace(video=videos, files=None, row=2, whole=3, anytime=0)
    rows = [list(row) for row in engine._rows(args)]
    assert rows == [["a.mp4", "b.mp4"], ["c.mp4", "d.mp4"], ["e.mp4"]]
    wanted = [engine._wanted(args, 2 * k, len(row), {"y": 1, "x": 2}) for k, row in enumerate(rows)]
    assert wanted == [["x", "y", 2, 0], ["x", "y", 1, 0], ["x", "y", 0, 0]]
    report = {"rows": [{"files": files, "done": done} for files, done in zip(rows, wanted, strict=True)]}
    first, middle, last = report["rows"]
    assert engine._entry_of(report, rows[1], wanted[1]) is middle
    # another measurement of a row, or a row of other files that has one of them, begins anew
    anew = engine._entry_of(report, rows[0], ["x", "y", 0, 0])
    assert (anew["files"], "done" in anew) == (rows[0], False)
    other = engine._entry_of(report, ["d.mp4", "f.mp4"], wanted[1])
    assert report["rows"] == [last, anew, other]
    assert first not in report["rows"]


def test_a_row_of_the_original_is_of_the_files_with_a_face(monkeypatch):
    def judged(_, video, spans):
        return {"files": 1, "pairs": 64 * (video != "none"), "s": 2.0, "stages_ms": {"flow": 1.0}}

    monkeypatch.setattr(engine, "_as_original", judged)
    spans = [[(0.0, 1.0)], [(2.0, 3.0)], [(0.0, 1.0)], []]
    found = engine._sampled("models", ["a", "none", "b", "c"], spans)
    assert found == {"files": 2, "pairs": 128, "s": 4.0, "stages_ms": {"flow": 2.0}}
    assert engine._sampled("models", ["none"], spans[1:2])["pairs"] == 0
    assert engine._sampled("models", ["c"], [[]]) == {"files": 0, "pairs": 0, "s": 0.0, "stages_ms": {}}


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
