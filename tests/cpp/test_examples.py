"""The examples in C, C++ and Python print the same about the same frames, and each is short."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conformance import images_of, load_table

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def images() -> list[Any]:
    (case,) = (case for case in load_table() if case["name"] == "one face that nods")
    return list(images_of(case))


@pytest.fixture
def lossless_video(images: list[Any], write_video: Any) -> Path:
    """The frames as they are, in a file: nothing that two decoders could see differently."""
    return write_video("frames.avi", images, codec="rawvideo", pix_fmt="bgr24")


@pytest.fixture
def raw_frames(images: list[Any], tmp_path: Path) -> Path:
    path = tmp_path / "frames.rgb"
    path.write_bytes(np.stack(images).tobytes())
    return path


def printed(command: list[str | Path], runtime: Path, stdin: Path | None = None) -> str:
    environment = {**os.environ, "FLOWTELL_ONNXRUNTIME": str(runtime)}
    source = stdin.open("rb") if stdin else subprocess.DEVNULL
    done = subprocess.run(
        [str(word) for word in command], stdin=source, capture_output=True, text=True, env=environment
    )
    if stdin:
        source.close()
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("program", ["judge_raw", "judge_live", "judge_video"])
def test_prints_what_python_prints(
    program: str,
    c_build: Path,
    onnxruntime_library: Path,
    tiny_bundle: Path,
    lossless_video: Path,
    raw_frames: Path,
    images: list[Any],
) -> None:
    executable = c_build / "examples" / program
    if program == "judge_video" and not executable.exists():
        pytest.skip("CMake found no OpenCV (Debian: libopencv-dev)")
    expected = printed(
        [sys.executable, EXAMPLES / "judge.py", lossless_video, tiny_bundle], onnxruntime_library
    )
    assert "face 0:" in expected
    if program == "judge_video":
        found = printed([executable, tiny_bundle, lossless_video], onnxruntime_library)
    else:
        height, width = images[0].shape[:2]
        words = [executable, tiny_bundle, width, height, 25]
        found = printed(words, onnxruntime_library, stdin=raw_frames)
    assert found == expected


@pytest.mark.parametrize("words", [(64, 64, 0), (0, 64, 25), (8194, 2, 25)])
def test_what_cannot_be_judged_live_is_said(
    words: tuple[int, int, int],
    c_build: Path,
    onnxruntime_library: Path,
    tiny_bundle: Path,
    raw_frames: Path,
) -> None:
    with raw_frames.open("rb") as frames:
        done = subprocess.run(
            [c_build / "examples" / "judge_live", tiny_bundle, *map(str, words)],
            stdin=frames,
            capture_output=True,
            text=True,
            env={**os.environ, "FLOWTELL_ONNXRUNTIME": str(onnxruntime_library)},
        )
    assert done.returncode in (1, 2)
    assert done.stderr.startswith(("usage: judge_live", "judge_live: "))


@pytest.mark.parametrize("program", ["judge_raw", "judge_live"])
@pytest.mark.parametrize("side", ["2147483647", "300000"])
def test_frames_beyond_the_memory_are_said(
    program: str, side: str, c_build: Path, onnxruntime_library: Path, tiny_bundle: Path
) -> None:
    limited = ["prlimit", f"--as={8 << 30}", c_build / "examples" / program, tiny_bundle, side, side, "25"]
    done = subprocess.run(
        [str(word) for word in limited],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, "FLOWTELL_ONNXRUNTIME": str(onnxruntime_library)},
    )
    assert done.returncode == 1
    assert done.stderr == f"{program}: there is not enough memory for such frames\n"


def test_examples_are_short() -> None:
    lengths = {path.name: len(path.read_text().splitlines()) for path in EXAMPLES.glob("judge*")}
    assert len(lengths) == 4
    assert {name: lines for name, lines in lengths.items() if lines >= 80} == {}
