"""The README's commands are run as they stand, so that they stay true.

Blocks marked `bash`, `python` and `c` run in a scratch folder which shows the checkout's files under their
own names. Every video that a block names and that is not there is the bundled natural sample. What sets the
machine up (`git clone`, `cd`, `pip`, `make`) is left out: continuous integration runs it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowtell import samples

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
SET_UP = re.compile(
    r"\s*(?:\$ )?(?:git clone|cd|make|pip|python\S* -m (?:pip|venv)|source|\.|sudo|apt-get)\b"
)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LIMIT_S = 300


def blocks(language: str) -> list[str]:
    """Code blocks of the README in one language."""
    return [code for marked, code in BLOCK.findall(README.read_text()) if marked == language]


def commands(block: str) -> str:
    """Commands of a bash block that are not there to set the machine up."""
    return "\n".join(line for line in block.splitlines() if not SET_UP.match(line)).strip()


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    for path in ROOT.iterdir():
        if path.name not in {".git", "demo.png"}:
            (tmp_path / path.name).symlink_to(path)
    yield tmp_path


def provide_videos(code: str, folder: Path) -> None:
    """Put the natural sample where a block expects a video of the reader's own."""
    for name in re.findall(r"[\w-]+\.mp4", code):
        if not (folder / name).exists() and "/" + name not in code:
            shutil.copy(samples.natural_path(), folder / name)


def run(command: list[str], folder: Path) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "MPLBACKEND": "Agg"}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_reader_is_told_the_two_commands_that_matter() -> None:
    shown = "\n".join(blocks("bash"))
    assert re.search(r"^make demo\b", shown, re.MULTILINE)
    assert re.search(r"^make test\b", shown, re.MULTILINE)


@pytest.mark.parametrize("code", [code for code in map(commands, blocks("bash")) if code])
def test_bash(code: str, scratch: Path) -> None:
    provide_videos(code, scratch)
    run(["bash", "-euo", "pipefail", "-c", code], scratch)


@pytest.mark.parametrize("code", blocks("python"))
def test_python(code: str, scratch: Path) -> None:
    provide_videos(code, scratch)
    assert run([sys.executable, "-W", "error", "-c", code], scratch), "it shows a reader nothing"


@pytest.mark.parametrize("code", blocks("c"))
def test_c(
    code: str,
    tmp_path: Path,
    c_library: Path,
    onnxruntime_library: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "program.c").write_text(code)
    include = str(ROOT / "engine/cpp/include")
    flags = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I", include]
    rpath = f"-Wl,-rpath,{c_library.parent}"
    run(["cc", *flags, "program.c", str(c_library), rpath, "-o", "program"], tmp_path)
    (tmp_path / "bundle").symlink_to(ROOT / "tests/bundles/tiny")
    monkeypatch.setenv("FLOWTELL_ONNXRUNTIME", str(onnxruntime_library))
    run(["./program"], tmp_path)
