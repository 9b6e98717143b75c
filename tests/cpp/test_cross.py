"""The C library compiles for aarch64, a Jetson's processor; where QEMU is there its arithmetic is tested."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMPILER = "aarch64-linux-gnu-g++"
SYSROOT = Path("/usr/aarch64-linux-gnu")


def run(*command: str | Path) -> None:
    words = [str(word) for word in command]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def cross_build(onnxruntime_headers: Path) -> Path:
    if not (shutil.which("cmake") and shutil.which(COMPILER)):
        pytest.skip(f"there is no cmake or no {COMPILER} (Debian: g++-aarch64-linux-gnu)")
    folder = ROOT / "build" / "tests-aarch64"
    options = ["-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64"]
    options += [f"-DCMAKE_CXX_COMPILER={COMPILER}", "-DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc"]
    options += [f"-DONNXRUNTIME_INCLUDE_DIR={onnxruntime_headers}", "-DFLOWTELL_BUILD_TESTS=ON"]
    # without optimisation it compiles in half the time; this machine's OpenCV is not for that processor
    options += ["-DCMAKE_CXX_FLAGS_RELEASE=-O0", "-DCMAKE_DISABLE_FIND_PACKAGE_OpenCV=ON"]
    run("cmake", "-S", ROOT, "-B", folder, *options)
    run("cmake", "--build", folder, "--parallel", str(os.cpu_count()))
    return folder


def test_compiles(cross_build: Path) -> None:
    (library,) = (cross_build / "engine/cpp").glob("libflowtell.so.*.*")
    # e_machine of the ELF header: 183 is AArch64
    assert int.from_bytes(library.read_bytes()[18:20], "little") == 183


@pytest.mark.parametrize("name", ["test_core", "test_flowtell"])
def test_runs_under_qemu(cross_build: Path, name: str) -> None:
    emulator = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
    if not emulator or not SYSROOT.is_dir():
        pytest.skip("there is no qemu-aarch64 (Debian: qemu-user) or no aarch64 C library")
    run(emulator, "-L", SYSROOT, cross_build / "tests/cpp" / name)
