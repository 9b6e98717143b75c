"""The C library includes the standard library, POSIX, one header of ONNX Runtime and itself: no more."""

from __future__ import annotations

import re
from pathlib import Path

CPP = Path(__file__).resolve().parents[2] / "engine/cpp"
SOURCES = sorted(path for path in CPP.rglob("*") if path.suffix in {".h", ".hpp", ".c", ".cpp"})


def includes(source: Path) -> list[tuple[str, str]]:
    """(bracket, name) of every include of a file."""
    return re.findall(r"^\s*#\s*include\s*([<\"])([^>\"]+)", source.read_text(), re.MULTILINE)


# file -> what it includes besides the standard library: the system and each runtime have their places
BEYOND = {
    "bundle.cpp": {"fcntl.h", "sys/stat.h", "unistd.h"},
    "decimal.cpp": {"locale.h", "xlocale.h"},
    "onnxruntime.cpp": {"dlfcn.h"},
    "onnxruntime.h": {"onnxruntime_c_api.h"},
    "plan_cache.cpp": {"fcntl.h", "sys/stat.h", "sys/utsname.h", "unistd.h"},
    "plan_session_tensorrt.cpp": {"dlfcn.h", "NvInferRuntime.h"},
}


def test_there_is_something_to_look_at() -> None:
    assert len(SOURCES) >= 30


def test_own_includes_stay_inside_the_library() -> None:
    for source in SOURCES:
        for bracket, name in includes(source):
            if bracket == '"':
                places = (source.parent / name, CPP / "include" / name)
                assert ".." not in Path(name).parts, f"{source.name} reaches out of its folder: {name}"
                assert any(place.is_file() for place in places), f"{source.name} includes a stranger: {name}"


def test_other_includes_are_the_standard_library() -> None:
    for source in SOURCES:
        for bracket, name in includes(source):
            if bracket == "<" and name not in BEYOND.get(source.name, ()):
                # C++'s own headers have neither a folder nor an ending; of C's, these two are needed.
                assert re.fullmatch(r"[a-z_0-9]+|std(def|int)\.h", name), f"{source.name} includes <{name}>"


def test_public_header_needs_two_c_headers_only() -> None:
    assert {name for _, name in includes(CPP / "include/flowtell/flowtell.h")} == {"stddef.h", "stdint.h"}
