"""The C library: built by its own CMake files, tested by ctest, then looked at from outside."""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import re
import shutil
import subprocess
import threading
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from flowtell import samples
from flowtell._decode import VideoReader

ROOT = Path(__file__).resolve().parents[2]
HEADER = ROOT / "engine/cpp/include/flowtell/flowtell.h"


def run(*command: str | Path, **options: Any) -> str:
    """Run a command and return what it printed; its output is the message where it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_ctest(c_build: Path, onnxruntime_library: Path) -> None:
    environment = {**os.environ, "FLOWTELL_ONNXRUNTIME": str(onnxruntime_library)}
    printed = run("ctest", "--test-dir", c_build, "--output-on-failure", "--no-tests=error", env=environment)
    assert "100% tests passed" in printed
    assert "did not run" not in printed


def program_of_the_header() -> str:
    block = re.search(r"^ \*     #include(?:.*\n)+? \*     }\n", HEADER.read_text(), re.MULTILINE)
    assert block, "the header no longer opens with a program"
    return re.sub(r"^ \*(?:     )?", "", block[0], flags=re.MULTILINE)


@pytest.mark.parametrize(("compiler", "standard"), [("cc", "c99"), ("c++", "c++17")])
def test_header_is_strict_c_and_cpp(compiler: str, standard: str, tmp_path: Path) -> None:
    if not shutil.which(compiler):
        pytest.skip(f"there is no {compiler}")
    source = tmp_path / ("alone.c" if compiler == "cc" else "alone.cpp")
    source.write_text("#include <flowtell/flowtell.h>\nint main(void) { return 0; }\n")
    strict = [f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    run(compiler, *strict, "-I", HEADER.parents[1], "-c", source, "-o", tmp_path / "alone.o")


def test_header_opens_with_a_whole_program_that_runs(
    c_library: Path, onnxruntime_library: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    program = tmp_path / "program.c"
    program.write_text(program_of_the_header())
    strict = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    include = ["-I", HEADER.parents[1]]
    rpath = f"-Wl,-rpath,{c_library.parent}"
    run("cc", *strict, *include, program, c_library, rpath, "-o", tmp_path / "program")
    with VideoReader(samples.natural_path()) as reader:
        frames = [frame.image for frame in itertools.islice(reader, 20)]
    raw = tmp_path / "frames.rgb"
    raw.write_bytes(np.stack(frames).tobytes())
    unsaid = ("CI", "ORT_DISABLE_TELEMETRY")
    environment = {key: value for key, value in os.environ.items() if key not in unsaid}
    (tmp_path / "cache").mkdir()
    environment |= {
        "FLOWTELL_ONNXRUNTIME": str(onnxruntime_library),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    with raw.open("rb") as stream:
        printed = run(tmp_path / "program", tiny_bundle, stdin=stream, env=environment)
    # where ONNX Runtime would keep the identity under which it reports
    assert list((tmp_path / "cache").iterdir()) == []
    result = json.loads(printed)
    jsonschema.validate(result, json.loads(schema_text("result.schema.json")))
    assert result["state"] == "ok"
    assert [len(clip["pair_logits"]) for clip in result["faces"][0]["clips"]] == [16]


def schema_text(name: str) -> str:
    return resources.files("flowtell.schemas").joinpath(name).read_text(encoding="utf-8")


def test_last_error_belongs_to_one_thread(c_library: Path) -> None:
    api = ctypes.CDLL(str(c_library))
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
    assert seen == [b"", b"the image is NULL; give one"]
    assert api.flowtell_last_error() == before
