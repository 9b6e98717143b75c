"""What runs a plan, up to the device: the refusals as they are here, the flow of data in simulated memory."""

from __future__ import annotations

import gc
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime
import pytest
from simulated_gpu import DeviceArray, SimulatedCuda, SimulatedTensorRT

from flowtell import Bundle, Detector, InputError, ProviderError, samples
from flowtell import _provider_tensorrt_plan as provider
from flowtell.__main__ import main
from flowtell._nvidia import Gpu, NoGpuError, first_gpu
from flowtell._plan_cache import PlanCache
from flowtell._plan_key import profile_of
from flowtell._plan_runner import PlanRunner
from flowtell._providers import why_not
from flowtell._runner import GraphSource
from flowtell._tensorrt import BACKENDS, Backend

RNG = np.random.default_rng(0)
NAMES = ("pair_logits", "clip_logit", "flow")


def has_gpu():
    try:
        first_gpu()
    except NoGpuError:
        return False
    return True


def test_without_a_gpu_the_provider_says_so_and_opens_nothing(tiny_bundle, capsys):
    if has_gpu():
        pytest.skip("this machine has a GPU")
    pytest.importorskip("tensorrt_rtx_bindings", reason="the extra tensorrt is not installed")
    pytest.importorskip("cuda.bindings", reason="the extra tensorrt is not installed")
    reason = "the provider 'tensorrt' needs a CUDA GPU, and the NVIDIA driver (libcuda.so.1) is not there"
    assert why_not("tensorrt") == provider.why_not() == reason
    video = str(samples.natural_path())
    assert main(["detect", video, "--bundle", str(tiny_bundle), "--provider", "tensorrt"]) == 2
    assert capsys.readouterr() == ("", f"flowtell: {reason}\n")
    with pytest.raises(ProviderError, match="needs a CUDA GPU"):
        provider.open_graph(GraphSource(b"", "detector.onnx"), 1)


def test_without_tensorrt_the_provider_says_what_to_install(monkeypatch):
    monkeypatch.setattr(Backend, "is_installed", lambda self: False)
    assert why_not("tensorrt").startswith(
        "the provider 'tensorrt' needs TensorRT, and no TensorRT is installed: pip install 'flowtell[tensorr"
    )


def test_without_cuda_bindings_the_provider_says_what_to_install(monkeypatch):
    monkeypatch.setattr(provider, "backend_called", lambda name: BACKENDS[1])
    monkeypatch.delitem(sys.modules, "cuda.bindings", raising=False)
    monkeypatch.setitem(sys.modules, "cuda", None)

    assert why_not("tensorrt") == (
        "the provider 'tensorrt' needs the package cuda-bindings: pip install 'flowtell[tensorrt]'"
    )


@pytest.fixture
def gpu(monkeypatch, tiny_bundle):
    """A simulated GPU that every part of the engine sees."""
    cuda = SimulatedCuda()
    trt = SimulatedTensorRT(cuda, profile_of("detector", Bundle.open(tiny_bundle).manifest))
    trt.__version__ = "1.7.1.116"
    monkeypatch.setattr(provider, "first_gpu", lambda: Gpu("Simulated 1", "8.6"))
    monkeypatch.setattr(provider, "backend_called", lambda name: BACKENDS[1])
    monkeypatch.setattr(Backend, "load", lambda self: trt)
    monkeypatch.setattr(provider, "load_cuda", lambda: cuda)
    monkeypatch.setattr(provider, "has_cuda_bindings", lambda: True)
    return cuda, trt


@pytest.fixture
def runner(gpu, tiny_bundle):
    cuda, trt = gpu
    plan = Bundle.open(tiny_bundle).read_graph("detector")
    return PlanRunner(plan, "detector.onnx", trt, cuda, threads=2)


def clips_of(batch, frames):
    return RNG.integers(0, 256, (batch, frames, 64, 64, 3), dtype=np.uint8)


def wanted(tiny_bundle, clips):
    session = onnxruntime.InferenceSession(tiny_bundle / "detector.onnx", providers=["CPUExecutionProvider"])
    return session.run(list(NAMES), {"clips": clips})


def test_a_plan_says_what_it_takes_and_gives(runner):
    assert runner.inputs == {"clips": ("tensor(uint8)", 5)}
    assert runner.outputs == {
        "pair_logits": ("tensor(float)", 2),
        "clip_logit": ("tensor(float)", 1),
        "flow": ("tensor(float)", 5),
    }


def test_arrays_go_to_the_gpu_and_results_come_back(runner, tiny_bundle):
    for shape in ((1, 5), (3, 2), (1, 17), (2, 3)):
        clips = clips_of(*shape)
        for got, want in zip(
            runner.run(NAMES, {"clips": clips}, None), wanted(tiny_bundle, clips), strict=True
        ):
            np.testing.assert_array_equal(got, want)
        (logits,) = runner.run(("pair_logits",), {"clips": clips[:, :, :, ::-1]}, None)
        np.testing.assert_array_equal(logits, wanted(tiny_bundle, clips[:, :, :, ::-1].copy())[0])


def test_callers_share_it(runner, tiny_bundle):
    many = [clips_of(1, 3) for _ in range(24)]
    with ThreadPoolExecutor(6) as callers:
        results = callers.map(lambda clips: runner.run(("pair_logits",), {"clips": clips}, None)[0], many)
        for clips, got in zip(many, results, strict=True):
            np.testing.assert_array_equal(got, wanted(tiny_bundle, clips)[0])


def test_arrays_on_the_gpu_are_used_where_they_lie(runner, gpu, tiny_bundle):
    cuda, trt = gpu
    clips = clips_of(2, 4)
    array = DeviceArray(cuda, clips)
    (logits,) = runner.run(("pair_logits",), {"clips": array}, None)
    np.testing.assert_array_equal(logits, wanted(tiny_bundle, clips)[0])
    assert cuda.copied_in == 0
    assert array.address in [context.addresses.get("clips") for context in trt.contexts]


def test_what_cannot_be_used_on_the_gpu_is_refused(runner, gpu):
    cuda, _ = gpu
    clips = clips_of(1, 3)
    packed = (3 * 64 * 64 * 3, 64 * 64 * 3, 64 * 3, 3, 1)
    runner.run(("pair_logits",), {"clips": DeviceArray(cuda, clips, strides=packed)}, None)
    with pytest.raises(InputError, match="must be C-contiguous"):
        runner.run(NAMES, {"clips": DeviceArray(cuda, clips, strides=(*packed[:-1], 2))}, None)
    with pytest.raises(InputError, match="must be uint8, not float32"):
        runner.run(NAMES, {"clips": DeviceArray(cuda, clips.astype(np.float32))}, None)


@pytest.mark.parametrize("shape", [(9, 2), (1, 18), (1, 1)])
def test_a_shape_that_the_plan_is_not_for_is_an_error(runner, shape):
    with pytest.raises(ProviderError, match=r"takes clips from \(1, 2, 64, 64, 3\) to \(8, 17, 64, 64, 3\)"):
        runner.run(NAMES, {"clips": clips_of(*shape)}, None)
    runner.run(NAMES, {"clips": clips_of(1, 2)}, None)  # and is no worse for it


def test_buffers_are_kept_from_call_to_call(runner, gpu):
    cuda, _ = gpu
    for frames in (2, 17, 5) * 4:
        runner.run(NAMES, {"clips": clips_of(1, frames)}, None)
    assert len(cuda.memory) <= 2 * 4, "each of two callers has an input and three outputs"


def test_too_little_memory_is_an_error_and_what_was_taken_is_given_back(gpu, tiny_bundle):
    cuda, trt = gpu
    cuda.memory_bytes = 100_000
    runner = PlanRunner(Bundle.open(tiny_bundle).read_graph("detector"), "detector.onnx", trt, cuda, 1)
    with pytest.raises(ProviderError, match="CUDA failed: cudaErrorMemoryAllocation"):
        runner.run(NAMES, {"clips": clips_of(8, 17)}, None)
    runner.run(NAMES, {"clips": clips_of(1, 2)}, None)
    del runner
    trt.contexts.clear()
    gc.collect()
    assert not cuda.memory
    assert not cuda.streams


def test_what_tensorrt_refuses_is_an_error(gpu):
    cuda, trt = gpu
    with pytest.raises(
        ProviderError, match=r"refuses the plan of 'detector.onnx': run 'flowtell plan' again"
    ):
        PlanRunner(b"no plan", "detector.onnx", trt, cuda, 1)


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def source_of(bundle):
    manifest = bundle.manifest
    return GraphSource(
        bundle.read_graph("detector"), "detector.onnx", "fp32", profile_of("detector", manifest)
    )


def test_the_detector_runs_the_plan_of_the_cache_and_no_other(gpu, own_cache, tiny_bundle):
    bundle = Bundle.open(tiny_bundle)
    source, cache = source_of(bundle), PlanCache.open()
    missing = r"no plan of 'detector.onnx' for this GPU \(8\.6\) is in the cache: run 'flowtell plan BUNDLE"
    with pytest.raises(ProviderError, match=missing):
        Detector.open(bundle, provider="tensorrt")
    key = provider.plan_key(source, BACKENDS[1])
    with cache.locked(lambda: None):
        path = cache.write(key, source.data)
    clips = clips_of(2, 5)
    with Detector.open(bundle, provider="tensorrt") as detector:
        assert detector.provider == "TensorRT plan"
        got = detector.score_clips(clips)
    np.testing.assert_array_equal(got.pair_logits, wanted(tiny_bundle, clips)[0])
    for most, asked in ((None, 8), (8, 8), (3, 3)):
        with Detector.open(bundle, provider="tensorrt", clips_per_call=most) as detector:
            assert detector.clips_per_call == asked
    with pytest.raises(InputError, match="clips_per_call must be at most 8, for which plans of the provider"):
        Detector.open(bundle, provider="tensorrt", clips_per_call=9)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ProviderError, match=r"was not made here, .* 'flowtell plan' builds it again"):
        Detector.open(bundle, provider="tensorrt")
