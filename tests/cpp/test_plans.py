"""The C library's reader of plans and what runs them: with what Python wrote, on a GPU that is none."""

from __future__ import annotations

import ctypes.util
import hmac
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hostile_plans import ATTACKS, PLAN

from flowtell import Bundle
from flowtell._plan_cache import PlanCache
from flowtell._plan_key import PlanKey, profile_of, system_name

ROOT = Path(__file__).resolve().parents[2]
NO_GPU = "5 the provider 'tensorrt' needs a CUDA GPU, and "

if not sys.platform.startswith("linux"):
    pytest.skip("the fake driver is a Linux library", allow_module_level=True)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return PlanCache.open()


@pytest.fixture
def key(tiny_bundle):
    """The key of the tiny bundle's detector on the fake GPU."""
    manifest = Bundle.open(tiny_bundle).manifest
    return PlanKey(
        graph_sha256=manifest.graphs["detector"]["fp32"].sha256,
        backend="tensorrt",
        version="10.13.3.9",
        gpu="Fake 1",
        compute_capability="8.6",
        precision="fp32",
        profile=profile_of("detector", manifest),
        system=system_name(),
    )


@pytest.fixture
def path(cache, key):
    with cache.locked(lambda: None):
        return cache.write(key, PLAN)


@pytest.fixture
def judge(c_build, onnxruntime_library, tiny_bundle):
    """Return `judge(**variables)`: what `judge_plan` prints for the tiny bundle, as lines."""

    def run(**variables):
        environment = {**os.environ, "FLOWTELL_ONNXRUNTIME": str(onnxruntime_library), **variables}
        words = [c_build / "tests/cpp/judge_plan", tiny_bundle]
        done = subprocess.run(words, capture_output=True, text=True, env=environment)
        assert done.stderr == "", "what was taken of the GPU is given back"
        return done.stdout.splitlines()

    return run


def test_a_plan_that_python_wrote_is_run(judge, path):
    lines = judge()
    # frame t holds 3t: a pair's logit is 3; the flow's values count up
    assert lines[:4] == [
        "TensorRT plan",
        "2 pairs: 3 3 3 1023",
        "1 pairs: 3 3 3 511",
        "16 pairs: 3 3 3 8191",
    ]
    assert lines[4] == "5 the plan takes clips of at most 16 pairs, not of 17"


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_what_was_not_made_here_is_not_opened(judge, path, tmp_path, attack):
    attack(path, tmp_path / "state" / "flowtell" / "plan-secret")
    (line,) = judge()
    assert line.startswith("5 '")
    assert ATTACKS[attack] in line


@pytest.mark.parametrize(
    ("field", "value"), [("gpu", "Fake 2"), ("precision", "fp16"), ("version", "10.13.3.8")]
)
def test_a_plan_for_something_else_is_not_run(judge, cache, path, key, field, value):
    other = replace(key, **{field: value})
    with cache.locked(lambda: None):
        cache.write(other, PLAN).rename(path)
    (line,) = judge()
    assert "is a plan for something else" in line
    path.unlink()
    (line,) = judge()
    assert "is missing: no plan of the detector in fp32 for this GPU (8.6) is in the cache" in line


def test_python_and_c_call_a_tensorrt_by_the_same_version(tmp_path):
    """Where Python's module says three numbers, its library says four."""
    if not shutil.which("cc"):
        pytest.skip("there is no C compiler")
    numbers = {"Major": 10, "Minor": 3, "Patch": 0, "Build": 26}
    source = "".join(f"int getInferLib{k}Version(void) {{ return {n}; }}\n" for k, n in numbers.items())
    library = tmp_path / "libnvinfer.so.10.3.0"
    words = ["cc", "-shared", "-fPIC", "-Wl,-soname,libnvinfer.so.10", "-x", "c", "-", "-o", library]
    subprocess.run(words, input=source, text=True, check=True)
    (tmp_path / "tensorrt.py").write_text(
        f"import ctypes\n__version__ = '10.3.0'\nlibrary = ctypes.CDLL({str(library)!r})\n"
    )
    asked = "from flowtell._tensorrt import backend_called; print(backend_called('tensorrt').version())"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    for version in ("10.3.0.26", "10.3.0"):
        done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, env=environment)
        assert (done.stdout, done.stderr) == (version + "\n", "")
        # without the library what Python says is all there is
        (tmp_path / "tensorrt.py").write_text("__version__ = '10.3.0'\n")


def test_another_user_s_plan_and_an_open_cache_are_not_used(judge, path):
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)
        assert "is another user's" in judge()[0]
        os.chown(path, 0, 0)
    for folder in (path.parent, path.parent.parent):
        folder.chmod(0o777)
        assert "can be written to by others" in judge()[0]
        folder.chmod(0o700)
    path.parent.rename(path.parent.with_name("moved"))
    path.parent.symlink_to("moved")
    assert "is a link" in judge()[0]


def test_what_tensorrt_or_cuda_refuses_is_an_error(judge, cache, path, key):
    (line,) = judge(FAKE_CUDA_FULL="1")
    assert line == "5 CUDA cannot give memory (CUDA error 2)"
    with cache.locked(lambda: None):
        cache.write(key, b"another plan")
    assert judge() == ["5 TensorRT 10.13.3.9 refuses the plan: this is no plan of mine"]


@pytest.mark.parametrize(
    ("devices", "reason"),
    [
        ("0", "the NVIDIA driver counts no GPU"),
        ("-1", "the NVIDIA driver finds no GPU that it can use (CUDA error 100)"),
    ],
)
def test_without_a_gpu_nothing_is_opened(judge, path, devices, reason):
    path.unlink()  # it would be missed, were it looked for
    assert judge(FAKE_CUDA_DEVICES=devices) == [NO_GPU + reason]


@pytest.mark.parametrize("size", [0, 1, 55, 64, 200])
def test_the_code_is_hmac_sha256(c_build, size):
    secret, data = bytes(range(32)), bytes(range(size))
    words = [c_build / "tests/cpp/print_hmac", secret.hex(), data.hex()]
    printed = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert printed == hmac.new(secret, data, "sha256").hexdigest() + "\n"


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_it_compiles_without_a_warning(compiler, tmp_path, onnxruntime_headers):
    if not shutil.which(compiler):
        pytest.skip(f"there is no {compiler}")
    sources = ROOT / "engine/cpp/src"
    strict = ["-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
    folders = ["-I", ROOT / "engine/cpp/include", "-isystem", ROOT / "tests/cpp/tensorrt"]
    for name in ("plan_session_tensorrt.cpp", "plan_cache.cpp"):
        words = [compiler, *strict, *folders, '-DFLOWTELL_PLAN_BACKEND="tensorrt"', sources / name]
        done = subprocess.run(words, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_it_links_with_nvidia_s_library_and_asks_the_driver_first(
    c_build, tiny_bundle, onnxruntime_library, tmp_path, cache
):
    libraries = pytest.importorskip("tensorrt_rtx_libs", reason="the extra tensorrt is not installed")
    library = Path(libraries.__file__).with_name("libtensorrt_rtx.so.1")
    if ctypes.util.find_library("cuda"):
        pytest.skip("there is a driver here, and nothing compiled against the stand-in may meet it")
    sources, program = ROOT / "engine/cpp/src", tmp_path / "judge"
    objects = [
        path
        for path in (c_build / "engine/cpp/CMakeFiles/flowtell_core.dir/src").glob("*.o")
        if not path.name.startswith("plan_session")
    ]
    words = ["c++", "-I", ROOT / "engine/cpp/include", "-isystem", ROOT / "tests/cpp/tensorrt"]
    words += ['-DFLOWTELL_PLAN_BACKEND="tensorrt_rtx"', "-std=c++17"]
    words += [sources / "plan_session_tensorrt.cpp", sources / "plan_cache.cpp", *objects]
    words += ["-x", "c", "-std=c99", ROOT / "tests/cpp/tensorrt/judge_plan.c", "-x", "none"]
    words += [library, f"-Wl,-rpath,{library.parent}", "-ldl", "-o", program]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    environment = {**os.environ, "FLOWTELL_ONNXRUNTIME": str(onnxruntime_library)}
    done = subprocess.run([program, tiny_bundle], capture_output=True, text=True, env=environment)
    assert done.stdout == NO_GPU + "the NVIDIA driver (libcuda.so.1) is not there\n"
    assert (done.returncode, done.stderr) == (1, "")


def test_without_nvidia_s_library_the_option_says_what_it_needs(tmp_path, onnxruntime_headers):
    if not shutil.which("cmake"):
        pytest.skip("there is no cmake")
    words = ["cmake", "-S", ROOT, "-B", tmp_path, f"-DONNXRUNTIME_INCLUDE_DIR={onnxruntime_headers}"]
    done = subprocess.run([*words, "-DFLOWTELL_WITH_TENSORRT=ON"], capture_output=True, text=True)
    if done.returncode == 0:
        pytest.skip(f"TensorRT is installed here ({platform.node()})")
    assert "say -DTENSORRT_INCLUDE_DIR=FOLDER" in " ".join(done.stderr.split())
