"""The conformance table: sequences of frames, and what every host must say about them.

    python tests/conformance.py --accept

writes `tests/conformance/table.json` and its one picture again, as Python's engine now judges. A host in
another language makes the frames by these rules, which need whole numbers only:

- A frame starts as the case's `background`, one RGB colour. Each entry [x, y, zoom] pastes the picture
  (`portrait.npy`, uint8 [160, 160, 3]) with its left top corner at x, y; what lies outside the frame is cut
  off. Zoom 2 repeats each pixel twice in both directions, zoom -2 takes every second one.
- A frame that is `inverted` has 255 minus each level.
- `format` says how the frame is handed over: RGB as it is, BGR, BGRA (alpha 255), GREY (the green channel),
  or NV12 (Y is the green channel, U and V are 128).
- Frame n is shown n / 25 s after the start.

Boxes, times and states are exact. Scores, crops and flow are compared within tolerances, because ONNX
Runtime rounds differently on another processor. On one machine with one ONNX Runtime all hosts agree to the
last bit, which `tests/cpp/test_conformance.py` holds.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).parent / "conformance"
TABLE = FOLDER / "table.json"
PORTRAIT = FOLDER / "portrait.npy"
PORTRAIT_SIDE = 160
RATE = 25.0
GREY = [96, 104, 112]

Image = NDArray[np.uint8]


def planned_cases() -> list[dict[str, Any]]:
    """Return the cases without what is expected of them."""

    def case(name: str, frames: list[Any], **more: Any) -> dict[str, Any]:
        usual = {"bundle": "tiny", "size": [320, 240], "format": "RGB", "max_clips": 0, "background": GREY}
        return {"name": name, **usual, **more, "frames": frames}

    def pasted(*faces: list[int], inverted: bool = False) -> dict[str, Any]:
        return {"faces": list(faces), "inverted": inverted}

    nod = [pasted([80, 40 + n % 4, 1]) for n in range(26)]
    slow = [pasted([60 + n, 40, 1]) for n in range(20)]
    return [
        case("one face that nods", nod),
        case("one face that drifts, in BGR", slow, format="BGR"),
        case("one face that drifts, in BGRA", slow, format="BGRA"),
        case("one face that nods, in grey", nod[:18], format="GREY"),
        case("one face that nods, in NV12 of odd size", nod[:18], format="NV12", size=[321, 241]),
        case("a frame that comes twice is skipped", [nod[n // 2] for n in range(12)]),
        case("two faces that pass each other",
             [pasted([4 * n, 0, 1], [240 - 4 * n, 120, 1]) for n in range(40)], size=[400, 300]),
        case("a face that leaves the frame", [pasted([80 + 6 * n, 40, 1]) for n in range(40)]),
        case("a shot cut ends the clip", nod[:10] + [pasted([80, 40, 1], inverted=True)] * 2 + nod[:8]),
        case("a lesser jump out of stillness ends the clip",
             [{**pasted([85 if n > 7 else 80, 40, 1]), "background": [96 + n % 2, 104, 112]}
              for n in range(16)]),
        case("a lesser jump of six times what came before ends the clip",
             [pasted([87 if n > 7 else 80, 40 + n % 2, 1]) for n in range(16)]),
        case("a lesser jump of five times what came before does not",
             [pasted([86 if n > 7 else 80, 40 + n % 2, 1]) for n in range(16)]),
        case("the size changes", [*nod[:8], {**nod[8], "size": [400, 240]}, *nod[9:16]]),
        case("a small face behind a large one, one clip of the budget",
             [pasted([0, 0, 3], [490, 60 + n % 3, 1]) for n in range(20)], size=[660, 480], max_clips=1),
        case("a face under 64 px", [pasted([100 + n, 80, -2]) for n in range(8)]),
        case("nobody", [{**pasted(), "background": [n, n, n]} for n in range(8)]),
        case("too few frames", nod[:4]),
        case("a strip too narrow to be searched",
             [pasted([80 + n, -40, 1]) for n in range(8)], size=[640, 20]),
    ]  # fmt: skip


def portrait() -> Image:
    """Return the one picture, `uint8 [160, 160, 3]` RGB."""
    picture: Image = np.load(PORTRAIT)
    return picture


def images_of(case: dict[str, Any]) -> Iterator[Image]:
    """Yield the RGB frames of a case before they take its format."""
    picture = portrait()
    for frame in case["frames"]:
        width, height = frame.get("size", case["size"])
        image = np.empty((height, width, 3), np.uint8)
        image[:] = frame.get("background", case["background"])
        for x, y, zoom in frame["faces"]:
            _paste(image, _zoomed(picture, zoom), x, y)
        yield 255 - image if frame["inverted"] else image


def _zoomed(picture: Image, zoom: int) -> Image:
    if zoom > 0:
        return picture.repeat(zoom, axis=0).repeat(zoom, axis=1)
    return picture[::-zoom, ::-zoom]


def _paste(image: Image, picture: Image, x: int, y: int) -> None:
    height, width = image.shape[:2]
    side = picture.shape[0]
    left, top, right, bottom = max(x, 0), max(y, 0), min(x + side, width), min(y + side, height)
    if left < right and top < bottom:
        image[top:bottom, left:right] = picture[top - y : bottom - y, left - x : right - x]


def stored_planes(image: Image, pixel_format: str) -> bytes:
    """Return an RGB frame as the packed planes of a format of `flowtell.h`."""
    if pixel_format == "RGB":
        return image.tobytes()
    if pixel_format == "BGR":
        return image[:, :, ::-1].tobytes()
    if pixel_format == "BGRA":
        alpha = np.full_like(image[:, :, :1], 255)
        return np.concatenate([image[:, :, ::-1], alpha], axis=2).tobytes()
    luma = image[:, :, 1].tobytes()
    if pixel_format == "GREY":
        return luma
    height, width = image.shape[:2]
    return luma + bytes([128]) * ((width + 1) // 2 * 2 * ((height + 1) // 2))


def seen_by_host(image: Image, pixel_format: str) -> Image:
    """Return the RGB frame that a host takes the planes for: `flowtell_to_rgb`, written down once more."""
    if pixel_format in ("RGB", "BGR", "BGRA"):
        return image
    luma = image[:, :, 1]
    if pixel_format == "NV12":
        luma = np.clip((298 * (luma.astype(np.int32) - 16) + 128) >> 8, 0, 255).astype(np.uint8)
    return np.repeat(luma[:, :, None], 3, axis=2)


def load_table() -> list[dict[str, Any]]:
    """Return the committed cases with what is expected of them."""
    cases: list[dict[str, Any]] = json.loads(TABLE.read_text(encoding="utf-8"))
    return cases


def judged_by_python(case: dict[str, Any]) -> dict[str, Any]:
    """Return what Python's engine says about a case, as the table has it."""
    from host_trace import PythonHost, frames_of

    host = PythonHost(Path(__file__).parent / "bundles" / case["bundle"])
    images = [seen_by_host(image, case["format"]) for image in images_of(case)]
    clips = host.clips(frames_of(images, RATE))
    result = json.loads(host.trace(frames_of(images, RATE), case["max_clips"]).result)
    return {
        "state": result["state"],
        "reason": result["reason"],
        "verdict": result["verdict"],
        "stopped": result["stopped"],
        "pairs_total": result["pairs_total"],
        "fake_probability": result["fake_probability"],
        "faces": [
            {"track": face["track"], "decides": face["decides"], "clips": face["clips"]}
            for face in result["faces"]
        ],
        "crops": [
            {
                "track": clip.track,
                "is_background": clip.is_background,
                "mean_levels": clip.frames.mean(),
                "mean_flow_px": scores.flow.mean(axis=(0, 1, 2, 3), dtype=np.float64).tolist(),
            }
            for clip, scores in clips
        ],
    }


def main() -> None:
    """Write the picture and the table."""
    from flowtell import samples
    from flowtell._decode import VideoReader

    FOLDER.mkdir(exist_ok=True)
    with VideoReader(samples.natural_path()) as reader:
        frame = next(iter(reader)).image
    step = frame.shape[0] // PORTRAIT_SIDE
    np.save(PORTRAIT, frame[::step, ::step])
    cases = planned_cases()
    for case in cases:
        case["expected"] = judged_by_python(case)
    # a case a line, so that a change shows which
    lines = ",\n".join(json.dumps(case) for case in cases)
    TABLE.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] != ["--accept"]:
        sys.exit("usage: python tests/conformance.py --accept")
    main()
