"""Providers: used or refused by name; a machine without ONNX Runtime is told what to install."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from tolerances import TOLERANCES

from flowtell import (
    Bundle,
    Detector,
    InputError,
    ProviderError,
    _provider_cuda,
    _provider_tensorrt,
    samples,
)
from flowtell.__main__ import main
from flowtell._cache import private_cache_folder
from flowtell._onnxruntime import OnnxRuntimeRunner
from flowtell._providers import PROVIDER_NAMES, provider_called, why_not
from flowtell._runner import GraphSource, RunningCall
from flowtell._sessions import open_session
from flowtell._tensorrt import installed_backends


def install_gpu(name):
    """Return the sentence for a provider that this machine's onnxruntime is built without."""
    what = {"cuda": "CUDA", "tensorrt": "TensorRT"}[name]
    then = {"cuda": "", "tensorrt": ", and install TensorRT 10 from NVIDIA"}[name]
    return (
        f"the provider '{name}' needs onnxruntime-gpu, and onnxruntime {onnxruntime.__version__} here is "
        f"built without {what}: pip uninstall onnxruntime, then pip install 'flowtell[gpu]'{then}"
    )


@pytest.mark.parametrize("name", ["cuda", "tensorrt"])
def test_a_provider_that_is_not_there_is_an_error_and_not_a_silent_cpu(motion_bundle, capsys, name):
    if why_not(name) is None:
        pytest.skip(f"'{name}' can be used here")
    with pytest.raises(ProviderError) as caught:
        Detector.open(motion_bundle, provider=name)
    assert str(caught.value) == why_not(name)
    video = str(samples.natural_path())
    assert main(["detect", video, "--bundle", str(motion_bundle), "--provider", name]) == 2
    assert capsys.readouterr() == ("", f"flowtell: {why_not(name)}\n")


@pytest.mark.parametrize(("name", "module"), [("cuda", _provider_cuda), ("tensorrt", _provider_tensorrt)])
def test_an_onnxruntime_without_the_provider_says_what_to_install(name, module):
    if module.why_not() is None:
        pytest.skip(f"this onnxruntime is built with {name}")
    assert module.why_not() == install_gpu(name)


def test_a_session_that_fails_does_not_go_on_on_another_provider(motion_bundle):
    runner = provider_called("cpu").open_graph(
        GraphSource(Bundle.open(motion_bundle).read_graph("crop"), "crop.onnx"), 1
    )
    assert not runner._session._enable_fallback
    with pytest.raises(ProviderError, match="NoSuchProvider"):
        OnnxRuntimeRunner(Bundle.open(motion_bundle).read_graph("crop"), "crop.onnx", "NoSuchProvider")


def test_openvino_says_what_the_cpu_says_whatever_the_threads(tiny_bundle, openvino):
    rng = np.random.default_rng(0)
    clips = rng.integers(0, 256, (6, 5, 64, 64, 3), dtype=np.uint8)
    with Detector.open(tiny_bundle, provider="cpu") as cpu:
        wanted = cpu.score_clips(clips)
    scores = []
    for threads in (1, 2):
        with Detector.open(tiny_bundle, provider="openvino", threads=threads) as detector:
            assert detector.provider == "OpenVINO CPU"
            assert detector.precision == "fp32"
            scores += [detector.score_clips(clips), detector.score_clips(clips[:1])]
            with ThreadPoolExecutor(8) as callers:
                for got in callers.map(lambda _: detector.score_clips(clips[:1]), range(32)):
                    assert np.array_equal(got.pair_logits, scores[0].pair_logits[:1])
    for got in scores:
        count = len(got.pair_logits)
        assert np.array_equal(got.pair_logits, scores[0].pair_logits[:count])
        assert np.array_equal(got.flow, scores[0].flow[:count])
        drift = np.abs(got.pair_logits - wanted.pair_logits[:count]).max()
        assert drift <= TOLERANCES["openvino_logit"].value


def test_openvino_judges_a_file_and_the_result_says_so(tiny_bundle, openvino):
    with Detector.open(tiny_bundle, provider="openvino") as detector:
        result = detector.detect(samples.natural_path(), max_clips=1)
    assert (result.state, result.provider, result.precision) == ("ok", "OpenVINO CPU", "fp32")


def test_openvino_refuses_a_graph_in_a_sentence(openvino):
    with pytest.raises(ProviderError, match=r"openvino .* cannot load 'a\.onnx'"):
        provider_called("openvino").open_graph(GraphSource(b"no graph", "a.onnx"), 1)


def test_a_call_that_was_stopped_is_not_stopped_again_in_the_next_one(tiny_bundle, openvino):
    session = open_session(Bundle.open(tiny_bundle), "detector", "fp32", provider_called("openvino"), 1)
    stopped, stops = RunningCall(), []
    clips = np.zeros((300, 17, 64, 64, 3), np.uint8)
    with ThreadPoolExecutor(1) as caller:
        first = caller.submit(session.run, ("pair_logits",), stopped, clips=clips)
        while stopped._stop is None and not first.done():
            time.sleep(1e-4)
        stopped.stop()
        with pytest.raises(ProviderError):
            first.result()
        second = caller.submit(session.run, ("pair_logits",), RunningCall(), clips=clips)
        while not second.done():
            stopped.stop()
            stops.append(1)
            time.sleep(1e-3)
        assert len(second.result()[0]) == 300
    assert stops


def test_closing_ends_what_openvino_is_judging(tiny_bundle, openvino):
    detector = Detector.open(tiny_bundle, provider="openvino", threads=1)
    with ThreadPoolExecutor(1) as caller:
        future = caller.submit(detector.score_clips, np.zeros((400, 17, 64, 64, 3), np.uint8))
        while not detector._pool._running:
            time.sleep(1e-3)
        detector.close()
        with pytest.raises(InputError, match="closed"):
            future.result()


SIGNAL_AFTER_OPENVINO = """
import os, signal, sys, threading
from flowtell import Detector

signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
detectors = [Detector.open(sys.argv[1], provider="openvino")]
forgetting = threading.Thread(target=detectors.clear)
forgetting.start()
forgetting.join()
os.kill(os.getpid(), signal.SIGTERM)
"""


TWO_FIRST_CALLS = """
import faulthandler, sys
import numpy as np
from flowtell import Detector
faulthandler.dump_traceback_later(60, exit=True)
# threads take turns after a microsecond: what may go wrong between two calls mostly does
sys.setswitchinterval(1e-6)
with Detector.open(sys.argv[1], provider="openvino", threads=2) as detector:
    side = detector.bundle.manifest.crop_size
    print(len(detector.score_clips(np.zeros((2, 5, side, side, 3), np.uint8)).clip_logits))
"""


@pytest.mark.parametrize("attempt", range(4))
def test_two_threads_may_be_the_first_that_openvino_judges_for(tiny_bundle, openvino, attempt):
    done = subprocess.run(
        [sys.executable, "-c", TWO_FIRST_CALLS, str(tiny_bundle)], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "2\n"), done.stderr


def test_signals_are_heard_after_another_thread_forgot_openvino(tiny_bundle, openvino):
    command = [sys.executable, "-c", SIGNAL_AFTER_OPENVINO, str(tiny_bundle)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (7, "")


@pytest.mark.parametrize("module", ["openvino", "tensorrt", "tensorrt_rtx_bindings"])
def test_a_folder_that_bears_the_name_of_a_package_is_none(monkeypatch, tmp_path, module):
    """As of an exported model, in the current folder."""
    (tmp_path / module).mkdir()
    installed = [place for place in sys.path if not Path(place, module).exists()]
    monkeypatch.setattr(sys, "path", [str(tmp_path), *installed])
    monkeypatch.delitem(sys.modules, module, raising=False)
    importlib.invalidate_caches()
    assert importlib.util.find_spec(module).origin is None
    if module == "openvino":
        assert "needs the package openvino" in why_not("openvino")
    else:
        assert module not in [backend.module for backend in installed_backends()]


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are not what they are there")
def test_a_cache_that_others_can_write_to_is_not_used(own_cache):
    assert private_cache_folder() == own_cache
    assert own_cache.stat().st_mode & 0o077 == 0
    own_cache.chmod(0o777)
    with pytest.raises(ProviderError, match="can be written to by others: make it yours alone"):
        private_cache_folder()


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch):
    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    with pytest.raises(ProviderError, match="has no home folder: set "):
        private_cache_folder()


def test_without_openvino_asking_for_it_says_what_to_install(motion_bundle):
    code = "import sys; sys.modules['openvino'] = None\nfrom flowtell.__main__ import main\nsys.exit(main())"
    words = ["detect", str(samples.natural_path()), "--bundle", str(motion_bundle), "--provider", "openvino"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    wanted = "the provider 'openvino' needs the package openvino: pip install 'flowtell[openvino]'"
    assert done.stderr == f"flowtell: {wanted}\n"


def test_an_unknown_provider_lists_the_known_ones(motion_bundle):
    with pytest.raises(ProviderError, match=", ".join(PROVIDER_NAMES)):
        Detector.open(motion_bundle, provider="coreml")


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="elsewhere it keeps its files in other places"
)
def test_onnxruntime_reports_nothing_to_anyone(tiny_bundle, own_cache):
    code = "import sys, flowtell; flowtell.Detector.open(sys.argv[1], provider='cpu')"
    environment = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
    subprocess.run([sys.executable, "-c", code, str(tiny_bundle)], check=True, env=environment)
    # the identity under which it would report, and what it has not yet sent
    assert list(own_cache.parent.iterdir()) == []


def test_bytes_in_onnxruntime_s_own_format_are_refused(tiny_bundle, tmp_path):
    """The loader looks into ONNX alone: what ONNX Runtime would read as something else it must not run."""
    settings = onnxruntime.SessionOptions()
    settings.optimized_model_filepath = str(tmp_path / "crop.ort")
    settings.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(tiny_bundle / "crop.onnx", settings, providers=["CPUExecutionProvider"])
    data = (tmp_path / "crop.ort").read_bytes()
    assert data[4:8] == b"ORTM"
    with pytest.raises(ProviderError, match=r"cannot load 'crop\.onnx'"):
        OnnxRuntimeRunner(data, "crop.onnx", "CPUExecutionProvider")


WITHOUT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name == "onnxruntime":
            raise {error}
sys.meta_path.insert(0, Absent())
import flowtell
try:
    flowtell.Detector.open(sys.argv[1])
except flowtell.ProviderError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            "ModuleNotFoundError(name=name)",
            "no onnxruntime is installed: install one with: pip install 'flowtell[cpu]'",
        ),
        (
            "ModuleNotFoundError(name='flatbuffers')",
            "onnxruntime is installed but lacks the module 'flatbuffers'",
        ),
        ("ImportError('libfoo.so')", "onnxruntime cannot be loaded (libfoo.so): reinstall it"),
    ],
)
def test_without_a_runtime_flowtell_imports_and_opening_says_what_to_install(motion_bundle, error, says):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(error=error), str(motion_bundle)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == says
