"""Builds the C library into the wheel, where that can be done; everything else stands in pyproject.toml.

FLOWTELL_NATIVE=1: build it or fail. FLOWTELL_NATIVE=0: a wheel of pure Python. Neither: build it where CMake,
a C++ compiler and ONNX Runtime's header (ONNXRUNTIME_INCLUDE_DIR, or build/onnxruntime from `make cpp`) are
at hand. An editable installation never has it.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
WISH = os.environ.get("FLOWTELL_NATIVE", "")
HEADER = "onnxruntime_c_api.h"


def header_folder() -> Path:
    """Return where ONNX Runtime's header is, or would be."""
    return Path(os.environ.get("ONNXRUNTIME_INCLUDE_DIR") or ROOT / "build" / "onnxruntime")


def missing() -> str | None:
    """Return what building the C library lacks here, or None."""
    for tool, found in (("cmake", ("cmake",)), ("a C++ compiler", ("c++", "g++", "clang++"))):
        if not any(map(shutil.which, found)):
            return tool
    if not (header_folder() / HEADER).is_file():
        return f"{HEADER} of ONNX Runtime (scripts/fetch_onnxruntime_headers.sh build/onnxruntime brings it)"
    return None


def wants_native() -> bool:
    """Tell whether this build has the C library in it."""
    if WISH == "0":
        return False
    lack = missing()
    if WISH == "1" and lack:
        sys.exit(f"FLOWTELL_NATIVE=1, but building the C library of flowtell needs {lack}")
    return lack is None


class BuildWithLibrary(build_py):
    """Puts include/, lib/ and the CMake package into flowtell/native/."""

    def run(self) -> None:
        """Copy the packages, then build and install the library beside them."""
        super().run()
        if self.editable_mode or not wants_native():
            return
        work = Path(self.get_finalized_command("build").build_temp).absolute() / "native"
        prefix = Path(self.build_lib).absolute() / "flowtell" / "native"
        shutil.rmtree(prefix, ignore_errors=True)
        options = [
            "-DCMAKE_BUILD_TYPE=Release",
            "-DCMAKE_INSTALL_LIBDIR=lib",
            f"-DONNXRUNTIME_INCLUDE_DIR={header_folder()}",
        ]
        subprocess.run(["cmake", "-S", str(ROOT), "-B", str(work), *options], check=True)
        subprocess.run(["cmake", "--build", str(work), "--parallel", str(os.cpu_count())], check=True)
        subprocess.run(["cmake", "--install", str(work), "--prefix", str(prefix)], check=True)


class Wheel(bdist_wheel):
    """Names the wheel after the machine where the library is in it: any Python 3, this platform."""

    def finalize_options(self) -> None:
        """Say whether the wheel fits any machine."""
        super().finalize_options()
        self.root_is_pure = not wants_native()

    def get_tag(self) -> tuple[str, str, str]:
        """Return the tags of Python, its binary interface and the machine."""
        python, abi, platform = super().get_tag()
        return (python, abi, platform) if self.root_is_pure else ("py3", "none", platform)


class DistributionOfThisMachine(Distribution):
    """Goes to the folder of one platform's packages where the library is in it."""

    def has_ext_modules(self) -> bool:
        """Tell setuptools that something here was compiled."""
        return wants_native()


setup(
    cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": Wheel},
    distclass=DistributionOfThisMachine,
)
