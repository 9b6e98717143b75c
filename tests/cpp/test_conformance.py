"""C, C++ and Python say the same about the frames of the conformance table, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conformance import RATE, images_of, load_table, seen_by_host, stored_planes
from host_trace import PythonHost, StoredFrame, differences, frames_of, trace_of_c_hosts, write_frames

# as in flowtell.h
FORMATS = {"RGB": 1, "BGR": 2, "RGBA": 3, "BGRA": 4, "GREY": 5, "NV12": 6}


@pytest.fixture(scope="module")
def python_host(tiny_bundle: Path) -> PythonHost:
    return PythonHost(tiny_bundle)


@pytest.mark.parametrize("case", load_table(), ids=lambda case: case["name"])
def test_hosts_agree(
    case: dict[str, Any],
    python_host: PythonHost,
    c_build: Path,
    onnxruntime_library: Path,
    tiny_bundle: Path,
    tmp_path: Path,
) -> None:
    images = list(images_of(case))
    expected = python_host.trace(
        frames_of([seen_by_host(image, case["format"]) for image in images], RATE), case["max_clips"]
    )
    stored = tmp_path / "frames"
    write_frames(
        stored,
        (
            StoredFrame(
                FORMATS[case["format"]],
                image.shape[1],
                image.shape[0],
                index / RATE,
                stored_planes(image, case["format"]),
            )
            for index, image in enumerate(images)
        ),
    )
    for program in ("trace", "trace_wrapper"):
        traced = trace_of_c_hosts(
            c_build,
            onnxruntime_library,
            tiny_bundle,
            stored,
            max_clips=case["max_clips"],
            program=program,
        )
        assert list(differences(expected, traced)) == []
