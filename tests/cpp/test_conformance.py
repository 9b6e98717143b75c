"""C, C++ and Python say the same about the frames of the conformance table, bit for bit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conformance import RATE, images_of, load_table, seen_by_host, stored_planes
from host_trace import PythonHost, StoredFrame, Trace, differences, frames_of, trace_of_c_hosts, write_frames

# as in flowtell.h
FORMATS = {"RGB": 1, "BGR": 2, "RGBA": 3, "BGRA": 4, "GREY": 5, "NV12": 6}
NODS, BYSTANDER = "one face that nods", "a small face behind a large one, one clip of the budget"


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
    expected = expected_of(case, python_host)
    stored = stored_frames(case, tmp_path)
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


@pytest.mark.parametrize(
    ("video", "least", "reason"),
    [
        (NODS, {"pairs": 26, "face_px": 0}, "for 25 pairs of frames, and below 26 this bundle abstains"),
        (NODS, {"pairs": 25, "face_px": 200}, "and below 200 px this bundle abstains"),
        (NODS, {"pairs": 25, "face_px": 64}, None),
        # a bystander's pairs are no evidence, nor are those of a clip too short to be judged
        (BYSTANDER, {"pairs": 17, "face_px": 0}, "for 16 pairs of frames, and below 17 this bundle abstains"),
        (BYSTANDER, {"pairs": 16, "face_px": 0}, None),
    ],
)
def test_hosts_abstain_alike(
    video: str,
    least: dict[str, int],
    reason: str | None,
    c_build: Path,
    onnxruntime_library: Path,
    tiny_bundle: Path,
    tmp_path: Path,
) -> None:
    case = next(case for case in load_table() if case["name"] == video)
    bundle = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps(manifest | {"least_evidence": least}))
    expected = expected_of(case, PythonHost(bundle))
    said = json.loads(expected.result)
    if reason is None:
        assert (said["state"], said["reason"]) == ("ok", None)
    else:
        assert (said["state"], said["verdict"], said["fake_probability"]) == (
            "thin_evidence",
            "undecided",
            None,
        )
        assert reason in said["reason"]
        assert said["faces"]
    stored = stored_frames(case, tmp_path)
    traced = trace_of_c_hosts(c_build, onnxruntime_library, bundle, stored, max_clips=case["max_clips"])
    assert list(differences(expected, traced)) == []


def expected_of(case: dict[str, Any], host: PythonHost) -> Trace:
    images = [seen_by_host(image, case["format"]) for image in images_of(case)]
    return host.trace(frames_of(images, RATE), case["max_clips"])


def stored_frames(case: dict[str, Any], folder: Path) -> Path:
    stored = folder / "frames"
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
            for index, image in enumerate(images_of(case))
        ),
    )
    return stored
