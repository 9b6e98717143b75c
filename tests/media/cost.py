"""Times decoding in its own process beside decoding in the caller's, and the two ways to RGB, interleaved.

    python tests/media/cost.py [--rounds N] [--judge] [--out RESULT.json]

Outputs are compared first. Times are medians and quartiles over rounds, in ms a frame (judging: ms a file).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Interpolation

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from media.seeds import Image, Recipe, face_frames, write_seed

from flowtell import Detector, samples
from flowtell._colour import RgbConverter, new_image
from flowtell._frames import open_frames
from flowtell._interpreters import DECODER_VARIABLE, IN_PROCESS

EXACT = (
    Interpolation.BILINEAR
    | Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
    | Interpolation.FULL_CHR_H_INT
)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--judge", action="store_true", help="also judge a sample with the default bundle")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    result: dict[str, object] = {"rounds": arguments.rounds, "av": av.__version__}
    with tempfile.TemporaryDirectory() as folder:
        frames = [np.tile(frame, (3, 4, 1))[:1080] for frame in face_frames(24, 480)]
        large = write_seed(Recipe("mp4", "libx264", options=(("threads", "1"),)), Path(folder), frames)
        result["colours of 1080p"] = _colours(large, arguments.rounds)
        for name, path in {"frames of 1080p": large, "frames of a sample": samples.natural_path()}.items():
            result[name] = _reading(path, arguments.rounds)
    if arguments.judge:
        result["judging a sample, 2 clips"] = _judging(arguments.rounds)
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n")


def _straight(picture: av.VideoFrame) -> Image:
    """Convert to packed RGB with a converter of the picture's own: how it was done before."""
    return np.ascontiguousarray(picture.to_ndarray(format="rgb24", interpolation=EXACT))


def _colours(path: Path, rounds: int) -> dict[str, object]:
    with av.open(str(path)) as container:
        pictures = list(container.decode(video=0))
    # one place for all: the decoder's slots are memory that has been used before
    memory = new_image(pictures[0].height, pictures[0].width)
    converter = RgbConverter(lambda height, width: memory)
    assert all(np.array_equal(_straight(picture), converter.convert(picture)) for picture in pictures)

    def straight() -> None:
        for picture in pictures:
            memory[...] = _straight(picture)

    def by_planes() -> None:
        for picture in pictures:
            converter.convert(picture)

    ways: dict[str, Callable[[], object]] = {"straight": straight, "by planes": by_planes}
    # processor time: the straight way uses a thread for each core
    return _interleaved(ways, rounds, len(pictures), time.process_time)


def _reading(path: Path, rounds: int) -> dict[str, object]:
    def read(where: str) -> list[Image]:
        os.environ[DECODER_VARIABLE] = where
        with open_frames(path) as source:
            return [frame.image for frame in source]

    inside, outside = read(IN_PROCESS), read(sys.executable)
    assert all(np.array_equal(one, other) for one, other in zip(inside, outside, strict=True))
    ways = {"in the caller": lambda: read(IN_PROCESS), "in a decoder": lambda: read(sys.executable)}
    return _interleaved(ways, rounds, len(inside), time.perf_counter)


def _judging(rounds: int) -> dict[str, object]:
    with Detector.open() as detector:

        def judge(where: str) -> float | None:
            os.environ[DECODER_VARIABLE] = where
            return detector.detect(samples.natural_path(), max_clips=2).fake_probability

        assert judge(IN_PROCESS) == judge(sys.executable)
        ways = {"in the caller": lambda: judge(IN_PROCESS), "in a decoder": lambda: judge(sys.executable)}
        return _interleaved(ways, rounds, 1, time.perf_counter)


def _interleaved(
    ways: dict[str, Callable[[], object]], rounds: int, count: int, clock: Callable[[], float]
) -> dict[str, object]:
    """Time each way once a round, in turn; return ms by `count`, and the ratio of the last to the first."""
    times_ms: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            begun_s = clock()
            way()
            times_ms[name].append(1e3 * (clock() - begun_s) / count)
    first, last = times_ms.values()
    ratios = [after / before for before, after in zip(first, last, strict=True)]
    return {name: _spread(times) for name, times in times_ms.items()} | {"ratio": _spread(ratios)}


def _spread(values: list[float]) -> dict[str, float]:
    low, middle, high = statistics.quantiles(values, n=4)
    return {"median": round(middle, 3), "lower_quartile": round(low, 3), "upper_quartile": round(high, 3)}


if __name__ == "__main__":
    main()
