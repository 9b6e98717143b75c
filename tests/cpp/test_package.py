"""Programs outside the tree find flowtell by CMake, in an install prefix and in a wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import flowtell

ROOT = Path(__file__).resolve().parents[2]
CONSUMER = ROOT / "tests/cpp/consumer"


def run(*command: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    words = [str(word) for word in command]
    done = subprocess.run(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **(env or {})},
        cwd=cwd,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def build_and_run_consumers(package: Path, folder: Path, bundle: Path, runtime: Path) -> None:
    """Build the consumer project against a CMake package, outside the tree, and have it open a bundle."""
    shutil.copytree(CONSUMER, folder / "project")
    version = flowtell.__version__
    options = [f"-Dflowtell_DIR={package}", f"-DEXPECTED_VERSION={version}"]
    run("cmake", "-S", folder / "project", "-B", folder / "made", *options)
    run("cmake", "--build", folder / "made")
    environment = {"FLOWTELL_ONNXRUNTIME": str(runtime)}
    assert (
        run(folder / "made/consumer", version, bundle, env=environment) == f"consumer: flowtell {version}\n"
    )
    assert run(folder / "made/consumer_cpp", version, bundle, env=environment) == "tiny\n"


def test_from_an_install_prefix(
    c_build: Path, tiny_bundle: Path, onnxruntime_library: Path, tmp_path: Path
) -> None:
    prefix = tmp_path / "prefix"
    run("cmake", "--install", c_build, "--prefix", prefix)
    (package,) = prefix.rglob("flowtell-config.cmake")
    build_and_run_consumers(package.parent, tmp_path, tiny_bundle, onnxruntime_library)


def test_as_a_part_of_another_project_it_leaves_that_project_as_it_is(
    onnxruntime_headers: Path, tmp_path: Path
) -> None:
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.21)\n"
        "project(host LANGUAGES C CXX)\n"
        f"add_subdirectory({ROOT.as_posix()} flowtell)\n"
        "add_library(mine mine.c)\n"
        "get_target_property(kind mine TYPE)\n"
        "get_target_property(theirs flowtell TYPE)\n"
        "message(STATUS \"mine: ${kind}, theirs: ${theirs}, built as: '${CMAKE_BUILD_TYPE}'\")\n"
    )
    (tmp_path / "mine.c").touch()
    configure = ["cmake", "-S", tmp_path, "-B", tmp_path / "made"]
    # as a newcomer would say it, from where he stands
    headers = onnxruntime_headers.absolute()
    said = run(*configure, f"-DONNXRUNTIME_INCLUDE_DIR={headers.name}", cwd=headers.parent)
    assert "mine: STATIC_LIBRARY, theirs: STATIC_LIBRARY, built as: ''" in said
    said = run(*configure, "-DBUILD_SHARED_LIBS=ON")
    assert "mine: SHARED_LIBRARY, theirs: SHARED_LIBRARY" in said
    installing = tmp_path / "made/flowtell/engine/cpp/cmake_install.cmake"
    assert "libflowtell" not in installing.read_text()
    run(*configure, "-DFLOWTELL_INSTALL=ON")
    assert "libflowtell" in installing.read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="needs the maps of a process as Linux has them")
def test_it_stays_loaded_for_what_the_runtime_logs(c_build: Path) -> None:
    (library,) = {path.resolve() for path in c_build.rglob("libflowtell.so*")}
    program = (
        "import _ctypes, ctypes, pathlib, sys\n"
        "_ctypes.dlclose(ctypes.CDLL(sys.argv[1])._handle)\n"
        "print(sys.argv[1] in pathlib.Path('/proc/self/maps').read_text())\n"
    )
    assert run(sys.executable, "-c", program, library) == "True\n"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a wheel is made from, so that building one leaves nothing in the checkout."""
    folder = tmp_path_factory.mktemp("checkout")
    skipped = shutil.ignore_patterns(".*", "build", "dist", "runs", "*.egg-info", "__pycache__", "demo.png")
    shutil.copytree(ROOT, folder / "flowtell", ignore=skipped)
    return folder / "flowtell"


def wheel_of(checkout: Path, wish: str, folder: Path, **environment: str) -> Path:
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w"]
    run(*command, folder, checkout, env={"FLOWTELL_NATIVE": wish, **environment})
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_from_a_wheel(
    checkout: Path,
    c_build: Path,
    onnxruntime_headers: Path,
    tiny_bundle: Path,
    onnxruntime_library: Path,
    tmp_path: Path,
) -> None:
    wheel = wheel_of(
        checkout, "1", tmp_path / "wheels", ONNXRUNTIME_INCLUDE_DIR=str(onnxruntime_headers.absolute())
    )
    assert "-py3-none-" in wheel.name
    assert not wheel.name.endswith("-any.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    environment = {"PYTHONPATH": str(site)}
    told = run(sys.executable, "-m", "flowtell", "--cmake-dir", env=environment, cwd=tmp_path).strip()
    assert Path(told).is_relative_to(site)
    build_and_run_consumers(Path(told), tmp_path, tiny_bundle, onnxruntime_library)


def test_a_wheel_of_pure_python(checkout: Path, tmp_path: Path) -> None:
    wheel = wheel_of(checkout, "0", tmp_path / "wheels")
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "site")
    assert not [name for name in names if "/native/" in name]
    done = subprocess.run(
        [sys.executable, "-m", "flowtell", "--cmake-dir"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
    )
    assert done.returncode == 2
    assert "without its C library" in done.stderr


def test_where_there_is_no_compiler_it_is_pure_or_says_why(checkout: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bin"
    bare.mkdir()
    command = [sys.executable, "setup.py", "--version"]
    without = {**os.environ, "PATH": str(bare), "FLOWTELL_NATIVE": "1"}
    code = "import setup"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.argv = {command[1:]!r}; {code}; setup.wants_native()"],
        capture_output=True,
        text=True,
        cwd=checkout,
        env=without,
    )
    assert done.returncode == 1
    assert "building the C library of flowtell needs cmake" in done.stderr
    probe = f"import sys; sys.argv = {command[1:]!r}; {code}; print(setup.wants_native())"
    done = subprocess.run(
        [sys.executable, "-c", probe],
        capture_output=True,
        text=True,
        cwd=checkout,
        env={**without, "FLOWTELL_NATIVE": ""},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "False"
