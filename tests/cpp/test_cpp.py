"""The C library: built by its own CMake files, tested by ctest, then looked at from outside."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEADER = ROOT / "engine/cpp/include/flowtell/flowtell.h"
COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
CXX_COMPILER = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")

pytestmark = pytest.mark.skipif(
    not (shutil.which("cmake") and COMPILER and CXX_COMPILER),
    reason="building the C library needs cmake and a C and C++ compiler",
)


def run(*command: str | Path) -> str:
    """Run a command and return what it printed; its output is the message where it fails."""
    done = subprocess.run(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cpp")
    run("cmake", "-S", ROOT, "-B", folder, "-DFLOWTELL_BUILD_TESTS=ON")
    run("cmake", "--build", folder)
    return folder


@pytest.fixture(scope="module")
def library(build: Path) -> Path:
    found = (build / "engine/cpp").glob("libflowtell.*")
    (library,) = [path for path in found if path.suffix in (".so", ".dylib")]
    return library


def test_ctest(build: Path) -> None:
    printed = run("ctest", "--test-dir", build, "--output-on-failure", "--no-tests=error")
    assert "100% tests passed" in printed


def test_header_opens_with_a_whole_program_that_runs(library: Path, tmp_path: Path) -> None:
    block = re.search(r"^ \*     #include(?:.*\n)+? \*     }\n", HEADER.read_text(), re.MULTILINE)
    assert block, "the header no longer opens with a program"
    program = tmp_path / "program.c"
    program.write_text(re.sub(r"^ \*(?:     )?", "", block[0], flags=re.MULTILINE))
    strict = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    include = ["-I", HEADER.parents[1]]
    rpath = f"-Wl,-rpath,{library.parent}"
    run(COMPILER or "cc", *strict, *include, program, library, rpath, "-o", tmp_path / "program")
    # Y 81 without colour: (298 * (81 - 16) + 128) >> 8 = 76
    assert re.fullmatch(r"flowtell \d+\.\d+\.\d+: first pixel 76 76 76\n", run(tmp_path / "program"))


@pytest.mark.skipif(not sys.platform.startswith("linux") or not shutil.which("nm"), reason="needs nm for ELF")
def test_only_the_interface_is_exported(library: Path) -> None:
    exported = {line.split()[-1] for line in run("nm", "-D", "--defined-only", library).splitlines()}
    declared = set(re.findall(r"^FLOWTELL_API .*?(flowtell_\w+)\(", HEADER.read_text(), re.MULTILINE))
    assert exported == declared


def test_last_error_belongs_to_one_thread(library: Path) -> None:
    api = ctypes.CDLL(str(library))
    api.flowtell_last_error.restype = ctypes.c_char_p
    seen: list[bytes] = []

    def fail() -> None:
        seen.append(api.flowtell_last_error())
        assert api.flowtell_to_rgb(None, None, ctypes.c_size_t(0)) != 0
        seen.append(api.flowtell_last_error())

    before = api.flowtell_last_error()
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    assert seen == [b"", b"The image is NULL; give one."]
    assert api.flowtell_last_error() == before
