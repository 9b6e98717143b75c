"""The original method's demo, end to end: the baseline of the engine's speed and the oracle of its verdicts.

Amerini et al., "Deepfake Video Detection through Optical Flow based CNN", ICCV Workshops 2019. A video
becomes JPEG frames on disk; a Haar cascade looks for the face in each frame and crops it; PWC-Net, in Keras,
takes the crops pair by pair; the flow images go into a TFRecord file, are read back, resized and judged one
batch after the other; the mean of the predictions is the verdict. Nothing here is shared with the engine but
the models.

    python -m flowtell.training.reference VIDEO... --model DIR [--pairs N]
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from flowtell import FlowtellError, InputError
from flowtell.training.flow_features import flow_step
from flowtell.training.haar_faces import haar_crop
from flowtell.training.models import FlowImage, TrainedModels, seen_motion
from flowtell.training.models.model_folder import read_models
from flowtell.training.original_records import OriginalRecord, read_records, write_records

__all__ = [
    "ReferenceVerdict",
    "add_arguments",
    "judge_crops",
    "judge_files",
    "judge_video",
    "main",
    "require_mean",
]

# OpenCV's own default for JPEG, and what a demo that says nothing gets.
JPEG_QUALITY = 95
# Times of one frame that two readers give agree to less: half a frame of 500 a second.
_SAME_TIME_S = 1e-3
# Keras's `predict` takes batches of this size unless told otherwise.
_PREDICT_BATCH = 32
_WHOLE = (-math.inf, math.inf)


@dataclass(frozen=True)
class ReferenceVerdict:
    """What the original demo says of a video.

    Attributes:
        file: name of the video, or what its crops were called.
        verdict: ``Original``, ``Fake``, or ``No face`` where fewer than two frames in a row showed one.
        fake_probability: mean over the pairs; None without a verdict.
        pair_probabilities: of each pair, in order.
        frames: frames decoded.
        faces: frames in which the cascade found a face.
        timing_ms: time of each step.
    """

    file: str
    verdict: str
    fake_probability: float | None
    pair_probabilities: list[float]
    frames: int
    faces: int
    timing_ms: dict[str, float]


class _Timer:
    """Sums the time of named steps."""

    def __init__(self):
        self.spent_ms: dict[str, float] = {}
        self._last_s = time.perf_counter()

    def lap(self, step):
        now_s = time.perf_counter()
        self.spent_ms[step] = self.spent_ms.get(step, 0.0) + 1e3 * (now_s - self._last_s)
        self._last_s = now_s


def judge_video(
    path: Path,
    models: TrainedModels,
    *,
    pairs: int | None = None,
    spans: Sequence[tuple[float, float]] | None = None,
    margin: float = 1.3,
    threshold: float = 0.5,
) -> ReferenceVerdict:
    """Judge a video as the original demo does.

    Args:
        path: the video, decoded by OpenCV.
        models: the networks.
        pairs: use only so many pairs, from the start; None for all.
        spans: use only frames within these times, (first, last) in seconds, and no pair that reaches from one
            span into another; what lies before the last of them is decoded, what comes after it is not. None
            for the whole video.
        margin: side of a crop over the longer side of the cascade's box; 1.3 is what flowtell's models were
            trained on, 2 what the original's tool did by default.
        threshold: a mean above it reads ``Fake``.

    Raises:
        InputError: the video cannot be opened or holds no frame there, or the models have an LSTM over the
            pairs.
    """
    require_mean(models)
    timer = _Timer()
    with tempfile.TemporaryDirectory(prefix="flowtell-reference-") as folder:
        most = None if pairs is None else pairs + 1
        runs = _write_frames(Path(path), Path(folder), most, _merged([_WHOLE] if spans is None else spans))
        timer.lap("frames")
        size_px = models.settings.crop_size
        crops = [[haar_crop(cv2.imread(str(name)), size_px, margin) for name in run] for run in runs]
        timer.lap("crop")
        both = [pair for run in crops for pair in itertools.pairwise(run) if all(c is not None for c in pair)]
        probabilities = _judge_pairs(both, models, Path(folder), timer)
    found = sum(crop is not None for run in crops for crop in run)
    return _verdict(Path(path).name, probabilities, threshold, sum(map(len, crops)), found, timer)


def judge_crops(
    clips: Iterable[np.ndarray], models: TrainedModels, *, name: str = "crops", threshold: float = 0.5
) -> ReferenceVerdict:
    """Judge face crops that were cut elsewhere, such as the engine's, from the flow network on.

    Args:
        clips: each uint8 ``[n + 1, S, S, 3]`` RGB; no pair reaches from one into the next.
        models: the networks.
        name: what the verdict calls them.
        threshold: a mean above it reads ``Fake``.

    Raises:
        InputError: the models have an LSTM over the pairs of a clip.
    """
    require_mean(models)
    timer = _Timer()
    clips = list(clips)
    both = [pair for clip in clips for pair in itertools.pairwise(clip)]
    with tempfile.TemporaryDirectory(prefix="flowtell-reference-") as folder:
        probabilities = _judge_pairs(both, models, Path(folder), timer)
    frames = sum(len(clip) for clip in clips)
    return _verdict(name, probabilities, threshold, frames, frames, timer)


def require_mean(models):
    """Refuse models whose verdict is not the mean over pairs, which is all that the original demo knows.

    Raises:
        InputError: the models have an LSTM over the pairs of a clip.
    """
    if models.clip_head is not None:
        raise InputError(
            "the original demo takes the mean over pairs, and this model judges a clip by an LSTM: take a "
            "classifier without one"
        )


def _merged(spans):
    """Return spans in their order, those that touch as one."""
    merged = []
    for first_s, last_s in sorted(spans):
        if merged and first_s <= merged[-1][1] + _SAME_TIME_S:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last_s))
        else:
            merged.append((first_s, last_s))
    return merged


def _write_frames(video, folder, limit, spans):
    """Decode a video into numbered JPEG files, up to the last span; return their paths in order, by span."""
    capture = cv2.VideoCapture(str(video))
    left = list(spans)
    runs = [[]]
    count = 0
    try:
        if not capture.isOpened():
            raise InputError(f"'{video}' cannot be opened as a video")
        while (limit is None or count < limit) and capture.grab():
            time_s = capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3
            while left and time_s > left[0][1] + _SAME_TIME_S:
                del left[0]
                runs.append([])
            if not left:
                break
            if time_s < left[0][0] - _SAME_TIME_S:
                continue
            read, frame = capture.retrieve()
            if not read:
                break
            path = folder / f"frame{count:06d}.jpg"
            if not cv2.imwrite(str(path), frame, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]):
                raise InputError(f"'{path}' cannot be written: is the disk full?")
            runs[-1].append(path)
            count += 1
    finally:
        capture.release()
    if not count:
        raise InputError(f"'{video}' holds no frame that can be decoded")
    return runs


def _judge_pairs(pairs, models, folder, timer):
    """Return the probability of each pair of crops, by way of a record file."""
    if not pairs:
        return []
    encoding, step = models.settings.flow_encoding, flow_step(models.network)
    image, records = FlowImage(encoding), []
    for pair in pairs:
        crops = [crop[None].astype(np.float32) for crop in pair]
        motion = seen_motion(encoding, step(*crops), *crops)
        records.append(OriginalRecord(np.asarray(image(motion))[0], 0))
    timer.lap("flow")
    path = folder / "flow.tfrecord"
    write_records(records, path)
    size_px = models.classifier.config.input_size
    images = np.stack([record.image for record in read_records(path, size_px)])
    timer.lap("records")
    logits = models.classifier.predict(images, batch_size=_PREDICT_BATCH, verbose=0)
    timer.lap("predict")
    return (1 / (1 + np.exp(-logits.astype(np.float64) / models.settings.temperature))).tolist()


def _verdict(name, probabilities, threshold, frames, faces, timer):
    mean = float(np.mean(probabilities)) if probabilities else None
    verdict = "No face" if mean is None else "Fake" if mean > threshold else "Original"
    return ReferenceVerdict(name, verdict, mean, probabilities, frames, faces, timer.spent_ms)


def main(argv: Sequence[str] | None = None) -> int:
    """Judge the videos named in ``argv``, one JSON object a line; return 0 if each got a verdict, else 1."""
    parser = argparse.ArgumentParser(
        prog="python -m flowtell.training.reference",
        description="Judge videos exactly as the original method's demo does.",
        epilog="For the models inside a bundle: python scripts/run_reference.py.",
    )
    add_arguments(parser)
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="a folder training wrote")
    arguments = parser.parse_args(argv)
    try:
        models = read_models(arguments.model)[0]
        require_mean(models)
    except FlowtellError as error:
        parser.error(str(error))
    return judge_files(arguments, models)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what every way to run the reference takes."""
    parser.add_argument("video", nargs="+", type=Path, metavar="VIDEO")
    parser.add_argument("--pairs", type=int, metavar="N", help="judge only the first N pairs (default: all)")
    parser.add_argument(
        "--margin", type=float, default=1.3, help="side of a crop over the face; default: 1.3"
    )
    parser.add_argument("--threshold", type=float, default=0.5, help="a mean above it is fake; default: 0.5")


def judge_files(arguments: argparse.Namespace, models: TrainedModels) -> int:
    """Judge the files of `add_arguments`, one JSON object a line; return the exit code."""
    judged = True
    for path in arguments.video:
        try:
            verdict = judge_video(
                path, models, pairs=arguments.pairs, margin=arguments.margin, threshold=arguments.threshold
            )
        except InputError as error:
            print(str(error), file=sys.stderr)
            judged = False
            continue
        print(json.dumps(asdict(verdict)), flush=True)
        judged = judged and verdict.fake_probability is not None
    return 0 if judged else 1


if __name__ == "__main__":
    sys.exit(main())
