"""Fixtures that every part's tests share."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

TESTS = Path(__file__).parent
ROOT = TESTS.parent

VideoWriter = Callable[..., Path]


@pytest.fixture(scope="session", autouse=True)
def cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep what the tests remember out of the user's cache; `auto` is the CPU, whose bits do not change."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))
    os.environ["FLOWTELL_PROVIDER"] = "cpu"


@pytest.fixture(scope="session")
def dev_data() -> Path:
    """Folder of the development data: $FLOWTELL_DEV_DATA, or `../shared/data` beside the checkout."""
    stated = os.environ.get("FLOWTELL_DEV_DATA")
    folder = Path(stated) if stated else TESTS.parent.parent / "shared" / "data"
    if not (folder / "clips" / "labels.csv").is_file():
        pytest.skip(f"no development data at {folder} (FLOWTELL_DEV_DATA names another folder)")
    return folder


@pytest.fixture(scope="session")
def tiny_bundle() -> Path:
    """Folder of the committed tiny bundle: S = 64, real graphs, random weights."""
    return TESTS / "bundles" / "tiny"


@pytest.fixture
def tiny_bundle_copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the tiny bundle that a test may damage."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


@pytest.fixture
def write_video(tmp_path: Path) -> VideoWriter:
    """Return `write(name, frames, ...) -> path`: writes `uint8 [H, W, 3]` RGB frames as a video file.

    Times are whole ticks of `time_base`; `ticks` gives one for each frame (1 apart by default).
    """

    def write(
        name: str,
        frames: Iterable[NDArray[np.uint8]],
        *,
        codec: str = "libx264",
        pix_fmt: str = "yuv420p",
        options: dict[str, str] | None = None,
        container_options: dict[str, str] | None = None,
        time_base: Fraction = Fraction(1, 25),
        ticks: Iterable[int] | None = None,
        source_format: str = "rgb24",
    ) -> Path:
        path = tmp_path / name
        pictures = list(frames)
        with av.open(str(path), "w", container_options=container_options or {}) as container:
            stream = container.add_stream(codec, rate=Fraction(1, 1) / time_base, options=options or {})
            stream.height, stream.width = pictures[0].shape[:2]
            stream.pix_fmt = pix_fmt
            stream.codec_context.time_base = time_base
            for picture, tick in zip(pictures, ticks or range(len(pictures)), strict=True):
                frame = av.VideoFrame.from_ndarray(picture, format=source_format)
                frame.pts, frame.time_base = tick, time_base
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path

    return write


@pytest.fixture(scope="session")
def onnxruntime_headers() -> Path:
    """Folder of ONNX Runtime's C header: $ONNXRUNTIME_INCLUDE_DIR, or fetched from npm into `build/`."""
    stated = os.environ.get("ONNXRUNTIME_INCLUDE_DIR")
    if stated:
        return Path(stated)
    folder = ROOT / "build" / "onnxruntime"
    script = ROOT / "scripts" / "fetch_onnxruntime_headers.sh"
    done = subprocess.run([script, folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"building the C library needs ONNX Runtime's header: {done.stderr.strip()}")
    return folder


@pytest.fixture(scope="session")
def onnxruntime_library() -> Path:
    """The shared library that the Python package onnxruntime carries."""
    (library,) = Path(sysconfig.get_path("purelib"), "onnxruntime", "capi").glob("libonnxruntime.*.[0-9]*")
    return library


@pytest.fixture(scope="session")
def c_build(onnxruntime_headers: Path, onnxruntime_library: Path) -> Path:
    """Build folder of the C library and its tests; it stays in `build/`, so that only changes cost time."""
    if not (shutil.which("cmake") and shutil.which("cc") and shutil.which("c++")):
        pytest.skip("building the C library needs cmake, cc and c++")
    folder = ROOT / "build" / "tests"
    options = ["-DFLOWTELL_BUILD_TESTS=ON", f"-DONNXRUNTIME_INCLUDE_DIR={onnxruntime_headers}"]
    options += ["-DCMAKE_CXX_FLAGS_RELEASE=-O1"]  # compiles in half the time
    for command in (
        ["cmake", "-S", str(ROOT), "-B", str(folder), *options],
        ["cmake", "--build", str(folder), "--parallel", str(os.cpu_count())],
    ):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture(scope="session")
def c_library(c_build: Path) -> Path:
    """The shared C library."""
    found = (c_build / "engine/cpp").glob("libflowtell.*")
    (library,) = [path for path in found if path.suffix in (".so", ".dylib")]
    return library
