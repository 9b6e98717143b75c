"""What a host says about a sequence of frames, to the last bit: Python's own trace, and those of C and C++.

A trace is the text that `tests/cpp/trace.c`, `trace_wrapper.cpp` and `trace_pixels.cpp` print: of each judged
clip the bits of its times, box and scores, then the result as JSON; and of each clip the SHA-256 of its crops
and of its flow. Two hosts agree where their traces are the same text.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowtell import ClipScores, Detector
from flowtell._budget import EvenSample
from flowtell._clips import ClipMaker, FaceClip
from flowtell._clock import StageClock
from flowtell._frame import Frame, RgbFrame
from flowtell._pipeline import FaceGraphs, open_face_graphs
from flowtell._result import ClipResult, TimingMs
from flowtell._verdict import JudgedClip, result_of, sigmoid

FLOWTELL_RGB = 1

NO_TIMING = {"decode": 0.0, "faces": 0.0, "crop": 0.0, "detector": 0.0, "total": 0.0}


@dataclass(frozen=True)
class Trace:
    """One host's words: a line a clip and the result's JSON without its timings; a line of hashes a clip."""

    clips: list[str]
    result: str
    pixels: list[str]


@dataclass(frozen=True)
class StoredFrame:
    """A frame as a C host takes it: FLOWTELL_... format, width, height, time in seconds, packed planes."""

    format: int
    width: int
    height: int
    time_s: float
    planes: bytes


def stored_rgb(image: NDArray[np.uint8], time_s: float) -> StoredFrame:
    """Return a `uint8 [H, W, 3]` RGB frame as it is."""
    height, width = image.shape[:2]
    return StoredFrame(FLOWTELL_RGB, width, height, time_s, image.tobytes())


def write_frames(path: Path, frames: Iterable[StoredFrame]) -> None:
    """Write frames as `tests/cpp/frame_stream.h` reads them."""
    with path.open("wb") as file:
        for frame in frames:
            head = f"frame {frame.format} {frame.width} {frame.height} {double_bits(frame.time_s)}"
            file.write(f"{head} {len(frame.planes)}\n".encode())
            file.write(frame.planes)


def double_bits(value: float) -> str:
    return struct.pack(">d", value).hex()


def float_bits(value: float) -> str:
    return struct.pack(">f", value).hex()


def trace_of_c_hosts(
    build: Path, runtime: Path, bundle: Path, frames: Path, *, max_clips: int = 0, program: str = "trace"
) -> Trace:
    """Run `trace` or `trace_wrapper`, and `trace_pixels`, of a build folder."""
    environment = {**os.environ, "FLOWTELL_ONNXRUNTIME": str(runtime)}

    def run(name: str, *arguments: str) -> list[str]:
        with frames.open("rb") as stream:
            command = [str(build / "tests/cpp" / name), str(bundle), *arguments]
            done = subprocess.run(command, stdin=stream, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    *clips, result = run(program, str(max_clips))
    return Trace(clips, _without_timing(result), run("trace_pixels"))


def _without_timing(result: str) -> str:
    """Return the JSON text with every timing set to zero; all else stays as it was written."""
    head, mark, timing = result.partition('"timing_ms": ')
    assert mark and set(json.loads(timing[:-1])) == set(NO_TIMING)
    return f"{head}{mark}{json.dumps(NO_TIMING)}}}"


class PythonHost:
    """The Python engine over frames that are already decoded, one thread, as `Detector.detect` does it."""

    def __init__(self, bundle: Path) -> None:
        self.detector = Detector.open(bundle, provider="cpu", threads=1)
        self.graphs: FaceGraphs = open_face_graphs(self.detector.bundle)

    def trace(self, frames: Iterable[Frame], max_clips: int = 0) -> Trace:
        """Judge frames; `max_clips` as in `flowtell_stream_options`."""
        maker = self.graphs.clip_maker(StageClock())
        scored = self._scored(maker, frames)
        pixels = [pixels_line(clip, scores) for clip, scores in scored]
        stopped = "all"
        if max_clips:
            sample: EvenSample[tuple[FaceClip, ClipScores]] = EvenSample(max_clips)
            for clip, scores in scored:
                sample.offer((clip, scores), preferred=not clip.is_background)
            scored = sample.items()
            stopped = "budget" if sample.offered > max_clips else "all"
        judged = [judged_clip(clip, scores) for clip, scores in scored]
        lines = [clip_line(item) for item in judged]
        result = result_of("trace", judged, maker, StageClock(), self.detector._judge(), stopped=stopped)
        result = replace(result, timing_ms=TimingMs(**NO_TIMING))
        return Trace(lines, result.to_json(), pixels)

    def clips(self, frames: Iterable[Frame]) -> list[tuple[FaceClip, ClipScores]]:
        """Return the face clips of a video and their scores."""
        return self._scored(self.graphs.clip_maker(StageClock()), frames)

    def _scored(self, maker: ClipMaker, frames: Iterable[Frame]) -> list[tuple[FaceClip, ClipScores]]:
        clips = [clip for frame in frames for clip in maker.push(frame)] + maker.finish()
        return [(clip, self.detector.score_clips(clip.frames[None])) for clip in clips]


def judged_clip(clip: FaceClip, scores: ClipScores) -> JudgedClip:
    logits = tuple(float(logit) for logit in scores.pair_logits[0])
    result = ClipResult(clip.start_s, clip.end_s, clip.box, float(scores.clip_logits[0]), logits)
    return JudgedClip(clip.track, clip.is_background, result, 0.0)


def pixels_line(clip: FaceClip, scores: ClipScores) -> str:
    crops = hashlib.sha256(clip.frames.tobytes()).hexdigest()
    return f"pixels {clip.track} {crops} {hashlib.sha256(scores.flow.tobytes()).hexdigest()}"


def clip_line(item: JudgedClip) -> str:
    clip = item.clip
    words = [
        "clip",
        item.track,
        double_bits(clip.start_s),
        double_bits(clip.end_s),
        *clip.box,
        int(item.is_background),
        float_bits(clip.logit),
        double_bits(sigmoid(clip.logit)),
        *(float_bits(logit) for logit in clip.pair_logits),
    ]
    return " ".join(map(str, words))


def differences(first: Trace, second: Trace) -> Iterator[str]:
    """Yield what differs between two traces, in words."""
    for name in ("clips", "pixels"):
        one, other = getattr(first, name), getattr(second, name)
        if len(one) != len(other):
            yield f"{len(one)} against {len(other)} {name}"
        for index, (line, counterpart) in enumerate(zip(one, other, strict=False)):
            if line != counterpart:
                yield f"{name} {index}: {line} against {counterpart}"
    if first.result != second.result:
        yield f"result: {first.result} against {second.result}"


def frames_of(images: Iterable[Any], rate: float = 25.0) -> list[Frame]:
    """Return images as frames, `rate` a second."""
    return [RgbFrame(np.ascontiguousarray(image), index / rate) for index, image in enumerate(images)]
