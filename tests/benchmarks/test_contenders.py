"""Contenders judge as the engine does, or say what they lack; a wrong one is not timed."""

import json
import subprocess
import sys

import numpy as np
import pytest
from tolerances import TOLERANCES

from flowtell import Detector, samples
from flowtell.benchmarks import contest as contests
from flowtell.benchmarks._cli_contenders import contenders_main
from flowtell.benchmarks.contenders import CONTENDERS, Arena, load_contender, mean_output
from flowtell.benchmarks.contest import contest
from flowtell.benchmarks.detector_system import sample_clips


@pytest.fixture(scope="module")
def clips(tiny_bundle):
    detector = Detector.open(tiny_bundle, provider="cpu")
    return sample_clips(detector, [samples.natural_path()], 2, 4)


def test_each_module_says_what_it_is():
    for name in CONTENDERS:
        module = load_contender(name)
        assert module.NAME
        assert module.SUMMARY
        assert module.SAME_OUTPUT in (True, False)


def test_contenders_that_must_agree_do(tiny_bundle, clips):
    """One that is not installed is named with what it lacks; here MesoNet, whose weights nobody gave."""
    entries, best_gemm = contest(Arena(tiny_bundle, 1), clips[:1], runs=1)
    found = dict(zip(CONTENDERS, entries, strict=True))
    for name in ("flowtell_openvino", "keras_pairs", "keras_clips", "tensorflow_xla", "onnxruntime_plain"):
        assert found[name].largest_difference <= TOLERANCES["parity_logit"].value, name
    assert all(not entry.is_wrong for entry in entries)
    assert all(entry.pairs_per_s > 0 for entry in entries if not entry.missing)
    assert found["dis_flow"].largest_difference > TOLERANCES["parity_logit"].value
    assert "--mesonet" in found["mesonet"].missing
    assert "no detector graph in bf16" in found["flowtell_openvino_bf16"].missing
    assert best_gemm > 0


class Planted:
    """A contender that is quick, and wrong in one clip by more than the limit."""

    NAME, SUMMARY, SAME_OUTPUT = "planted", "wrong on purpose", True

    @staticmethod
    def open_contender(arena):
        right = load_contender("flowtell_cpu").open_contender(arena)
        return lambda clips: [right(clips)[0], *(output + 0.01 for output in right(clips)[1:])]


def test_a_wrong_contender_is_not_timed(tiny_bundle, clips, monkeypatch):
    load = contests.load_contender
    monkeypatch.setattr(contests, "load_contender", lambda n: Planted if n == "planted" else load(n))
    ours, planted = contest(Arena(tiny_bundle, 1), clips, 1, ("flowtell_cpu", "planted"))[0]
    assert planted.is_wrong
    assert planted.pairs_per_s is None
    assert ours.pairs_per_s > 0


def test_mesonet_reads_published_weights(dev_data, tiny_bundle, clips):
    """Its layers take the arrays of the file, and a clip's logit is the mean of its frames'."""
    arena = Arena(tiny_bundle, 1, dev_data / "weights" / "mesonet" / "Meso4_DF.h5")
    outputs = load_contender("mesonet").open_contender(arena)(clips)
    assert [output.shape for output in outputs] == [(5,), (5,)]
    assert np.isfinite(outputs).all()
    assert outputs[0][-1] == pytest.approx(outputs[0][:-1].mean(), abs=TOLERANCES["small_graph"].value)


def test_a_clip_s_logit_is_the_mean_of_its_pairs():
    assert mean_output([[1.0], [2.0]]).tolist() == [1.0, 2.0, 1.5]


@pytest.mark.parametrize("option", ["--runs", "--clips", "--pairs", "--threads"])
def test_nothing_to_run_is_wrong_usage(option, capsys):
    with pytest.raises(SystemExit) as ended:
        contenders_main([option, "0"])
    assert ended.value.code == 2
    assert "invalid number above 0 value: '0'" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--out", "--picture"])
def test_a_file_that_cannot_be_written_is_wrong_usage_before_anything_runs(option, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        contenders_main([option, str(tmp_path / "none" / "result")])
    assert ended.value.code == 2
    assert f"there is no folder '{tmp_path / 'none'}' to write 'result' into" in capsys.readouterr().err


def test_the_command_prints_a_table_and_draws(tiny_bundle, tmp_path):
    command = [sys.executable, "-m", "flowtell", "bench", "contenders", str(tiny_bundle), "--pairs", "4"]
    command += ["--only", "mesonet", "--runs", "1", "--out", "out.json", "--picture", "out.png"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "flowtell" in done.stdout
    assert "it needs the published weights" in done.stdout
    assert json.loads((tmp_path / "out.json").read_text())["contenders"][0]["pairs_per_s"] > 0
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
