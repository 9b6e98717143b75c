"""Contenders judge as the engine does, or say what they lack; a wrong one is not timed."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from tolerances import TOLERANCES

from flowtell import Detector, samples
from flowtell.benchmarks import contest as contests
from flowtell.benchmarks._cli_contenders import contenders_main, idle_threads
from flowtell.benchmarks.accuracy import LIMITS
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


@pytest.fixture(scope="module")
def temporal_bundle(tiny_bundle, tmp_path_factory):
    """The tiny bundle with an LSTM over the pairs of a clip, of random weights, too."""
    from flowtell.export.bundle import facts_from_bundle, write_bundle
    from flowtell.export.tiny import random_weights, tiny_models
    from flowtell.training.models import ClipHeadConfig, build_clip_head

    tiny = tiny_models()
    head = build_clip_head(ClipHeadConfig(units=6), tiny.classifier.hidden_width)
    models = replace(tiny, clip_head=head)
    models.assign(random_weights(models, 3))
    folder = tmp_path_factory.mktemp("temporal") / "bundle"
    write_bundle(folder, models, *facts_from_bundle(tiny_bundle))
    return folder


def test_a_clip_that_an_lstm_judges_is_judged_so_or_not_at_all(temporal_bundle, clips):
    whole = ("flowtell_cpu", "keras_clips", "tensorflow_xla")
    by_pair = ("keras_pairs", "onnxruntime_plain", "openvino_plain")
    entries, _ = contest(Arena(temporal_bundle, 1), clips[:1], 1, whole + by_pair)
    (output,) = load_contender("flowtell_cpu").open_contender(Arena(temporal_bundle, 1))(clips[:1])
    assert abs(output[-1] - output[:-1].mean()) > LIMITS["fp32"]
    found = dict(zip(whole + by_pair, entries, strict=True))
    for name in whole:
        assert found[name].largest_difference <= TOLERANCES["parity_logit"].value, name
    for name in by_pair:
        assert "this bundle has an LSTM over the pairs of a clip" in found[name].missing


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
    command += ["--only", "mesonet", "--runs", "1", "--threads", "3"]
    command += ["--out", "out.json", "--picture", "out.png"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "flowtell" in done.stdout
    assert "it needs the published weights" in done.stdout
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["contenders"][0]["pairs_per_s"] > 0
    # two videos: one clip of each would leave a thread idle
    assert (result["threads"], result["clips"]) == (3, 4)
    assert "the engine used" not in done.stdout
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("clips_of_each", "clips", "remedy"),
    [
        (1, 2, "--clips 4 keeps all of them busy"),
        (4, 5, "the videos have no more clips of that length, so name more of them with --video"),
    ],
)
def test_a_table_says_that_threads_were_left_idle(clips_of_each, clips, remedy):
    (line,) = idle_threads(8, clips, 2, clips_of_each)
    assert line == f"the engine used {clips} of its 8 threads, one a clip: {remedy}"
    assert idle_threads(8, 8, 2, 4) == []


def test_threads_bind_keras_on_tensorflow(tiny_bundle):
    code = f"""
import tensorflow as tf
from flowtell.benchmarks._cli_contenders import contenders_main
words = ["--only", "keras_clips", "--threads", "1", "--pairs", "1", "--clips", "1", "--runs", "1"]
code = contenders_main([{str(tiny_bundle)!r}, *words])
threads = tf.config.threading
print(code, threads.get_intra_op_parallelism_threads(), threads.get_inter_op_parallelism_threads())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    table, printed = done.stdout.split("float32 matrix product", 1)
    assert "Keras, one clip a batch" in table
    assert printed.splitlines()[-1] == "0 1 1"


def test_threads_of_another_backend_are_refused_before_anything_runs(tiny_bundle):
    command = [sys.executable, "-m", "flowtell", "bench", "contenders", str(tiny_bundle), "--threads", "1"]
    backend = os.environ | {"KERAS_BACKEND": "jax"}
    done = subprocess.run(command, env=backend, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--threads limits Keras on TensorFlow only, and it runs on jax: leave" in done.stderr
    assert done.stdout == ""
