"""The detector: a bundle, opened, that judges files and face clips from any number of threads."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ._budget import EvenSample, require_clip_budget
from ._bundle import Bundle, bundle_from_argument
from ._clips import FaceClip
from ._clock import StageClock
from ._errors import BundleError, InputError
from ._pipeline import ClipReader, FaceGraphs, Progress, open_face_graphs
from ._providers import Provider, resolve_provider
from ._result import RESULT_SCHEMA, BundleIdentity, ClipResult, Result, TimingMs
from ._sessions import GraphSession, open_session, require_shape
from ._verdict import JudgedClip, faces_from_clips, file_probability, file_state, sigmoid, verdict_of

__all__ = ["ClipScores", "Detector"]

Item = TypeVar("Item")
Done = TypeVar("Done")

MAX_THREADS = 256
PRECISION = "fp32"
FLOW_STRIDE = 4
"""PWC-Net gives its flow at a quarter of the crop's size."""


@dataclass(frozen=True, eq=False)
class ClipScores:
    """What the detector says about a batch of B face clips of T pairs.

    Attributes:
        pair_logits: `float32 [B, T]`.
        clip_logits: `float32 [B]`.
        fake_probability: `float64 [B]`, sigmoid of `clip_logits`, 0 to 1.
        flow: `float32 [B, T, S/4, S/4, 2]`, (u, v): x right, y down, in px of the crop, frame t to t+1.
    """

    pair_logits: NDArray[np.float32]
    clip_logits: NDArray[np.float32]
    fake_probability: NDArray[np.float64]
    flow: NDArray[np.float32]


class Detector:
    """Judges videos. Immutable; every method may be called from many threads at once.

    On one provider, scores are the same bit for bit whatever the number of threads, and whatever else is
    judged at the same time.
    """

    def __init__(
        self, bundle: Bundle, provider: Provider, graphs: FaceGraphs, detector: GraphSession, threads: int
    ) -> None:
        self._bundle = bundle
        self._provider = provider
        self._threads = threads
        self._graphs = graphs
        self._detector = detector
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="flowtell")

    @classmethod
    def open(
        cls,
        bundle: Bundle | str | os.PathLike[str] | None = None,
        *,
        provider: str = "auto",
        threads: int | None = None,
    ) -> Detector:
        """Open a bundle for judging.

        Args:
            bundle: a bundle's folder, an open bundle, or None for the one that comes with the package.
            provider: `auto` or the name of one; a provider asked for by name is used or it is an error.
            threads: clips judged at the same time, 1 to 256; None: as many as this process has cores.

        Raises:
            BundleError: where the bundle is missing, altered, malformed, or has no detector.
            ProviderError: where the provider cannot be used here; the message says what to install.
            InputError: for any other argument that is out of range.
        """
        if threads is None:
            threads = min(usable_cores(), MAX_THREADS)
        if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= MAX_THREADS:
            raise InputError(f"threads must be an integer from 1 to {MAX_THREADS}, not {threads!r}")
        taken = resolve_provider(provider)
        opened = bundle_from_argument(bundle)
        if "detector" not in opened.manifest.graphs:
            raise BundleError(
                f"the bundle '{opened.manifest.name}' has no detector graph, so it cannot judge"
            )
        detector = open_session(opened, "detector", PRECISION, taken)
        return cls(opened, taken, open_face_graphs(opened, taken), detector, threads)

    @property
    def bundle(self) -> Bundle:
        """The bundle that was opened."""
        return self._bundle

    @property
    def provider(self) -> str:
        """What runs it, as ONNX Runtime names it."""
        return self._provider.ort_name

    @property
    def threads(self) -> int:
        """How many clips are judged at the same time."""
        return self._threads

    def detect(
        self,
        path: str | os.PathLike[str],
        *,
        max_clips: int | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> Result:
        """Judge a video file.

        A file that cannot be judged is a result too: its `state` and `reason` say why, its verdict is
        `undecided` and its probability None.

        Args:
            path: a video file.
            max_clips: judge at most so many face clips (1 to 256), evenly spread over the file, those of
                faces in the background last; None judges all.
            progress: called with a `Progress` after each frame that is read and each clip that is judged.

        Raises:
            InputError: for `max_clips` out of range.
            ProviderError, BundleError: where a graph fails while it runs; never a score.
        """
        require_clip_budget(max_clips)
        clock = StageClock()
        reader = ClipReader(self._graphs, path, clock, progress)
        stopped = "all"
        clips: Iterable[FaceClip] = reader
        if max_clips is not None:
            sample: EvenSample[FaceClip] = EvenSample(max_clips)
            for clip in reader:
                sample.offer(clip, preferred=not clip.is_background)
            clips = sample.items()
            stopped = "budget" if sample.offered > max_clips else "all"
        judged = []
        for item in self._in_order(self._judge, clips):
            judged.append(item)
            reader.count_judged()
        return self._result(os.fspath(path), reader, judged, stopped, clock)

    def score_clips(self, clips: NDArray[np.uint8]) -> ClipScores:
        """Judge face clips that were cut elsewhere, for instance by `iter_face_clips`.

        Args:
            clips: `uint8 [B, T + 1, S, S, 3]` RGB, T at least 1, S the bundle's crop size.

        Raises:
            InputError: for another dtype or shape.
            ProviderError, BundleError: where the graph fails while it runs.
        """
        side = self.bundle.manifest.crop_size
        array = np.asarray(clips)
        if array.dtype != np.uint8 or array.ndim != 5 or array.shape[2:] != (side, side, 3):
            raise InputError(
                f"clips must be uint8 [B, T + 1, {side}, {side}, 3], not {array.dtype} {list(array.shape)}"
            )
        if array.shape[0] < 1 or array.shape[1] < 2:
            raise InputError("clips must hold at least one clip of at least two frames")
        scored = list(self._in_order(self._score_with_flow, array))
        clip_logits = np.array([logit for _, logit, _ in scored], dtype=np.float32)
        return ClipScores(
            np.stack([pairs for pairs, _, _ in scored]),
            clip_logits,
            np.array([sigmoid(float(logit)) for logit in clip_logits]),
            np.stack([flow for _, _, flow in scored]),
        )

    def _score_with_flow(
        self, frames: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], float, NDArray[np.float32]]:
        pairs, side = len(frames) - 1, frames.shape[1] // FLOW_STRIDE
        names = ("pair_logits", "clip_logit", "flow")
        pair_logits, clip_logit, flow = self._detector.run(names, clips=np.ascontiguousarray(frames[None]))
        require_shape(flow, (1, pairs, side, side, 2), "detector.onnx")
        return (*_checked_logits(pair_logits, clip_logit, pairs), flow[0])

    def _judge(self, clip: FaceClip) -> JudgedClip:
        start_s = time.perf_counter()
        names = ("pair_logits", "clip_logit")
        raw_pairs, raw_clip = self._detector.run(names, clips=clip.frames[None])
        pair_logits, clip_logit = _checked_logits(raw_pairs, raw_clip, len(clip.frames) - 1)
        result = ClipResult(
            clip.start_s, clip.end_s, clip.box, clip_logit, tuple(float(logit) for logit in pair_logits)
        )
        return JudgedClip(clip.track, clip.is_background, result, time.perf_counter() - start_s)

    def _in_order(self, work: Callable[[Item], Done], items: Iterable[Item]) -> Iterator[Done]:
        """Yield `work(item)` for each item in order, worked on by the pool, a few items ahead and no more."""
        waiting: deque[Future[Done]] = deque()
        try:
            for item in items:
                waiting.append(self._pool.submit(work, item))
                if len(waiting) > 2 * self.threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def _result(
        self, file: str, reader: ClipReader, judged: list[JudgedClip], stopped: str, clock: StageClock
    ) -> Result:
        manifest = self.bundle.manifest
        faces = faces_from_clips(judged, manifest.pairs_per_clip)
        state, reason = file_state(reader.failure, reader.maker, bool(judged))
        probability = file_probability(faces)
        return Result(
            schema=RESULT_SCHEMA,
            file=file,
            state=state,
            reason=reason,
            verdict=verdict_of(probability, manifest.thresholds[0].fake_probability),
            fake_probability=probability,
            pairs_judged=sum(len(item.clip.pair_logits) for item in judged),
            pairs_total=reader.maker.pairs,
            stopped=stopped,
            faces=faces,
            bundle=BundleIdentity(manifest.name, self.bundle.sha256, manifest.licence),
            provider=self.provider,
            precision=PRECISION,
            timing_ms=TimingMs(
                decode=clock.spent_ms("decode"),
                faces=clock.spent_ms("faces"),
                crop=clock.spent_ms("crop"),
                detector=1e3 * sum(item.spent_s for item in judged),
                total=clock.total_ms(),
            ),
        )


def usable_cores() -> int:
    """Return the number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _checked_logits(
    pair_logits: NDArray[np.float32], clip_logit: NDArray[np.float32], pairs: int
) -> tuple[NDArray[np.float32], float]:
    """Return the logits of a batch of one; a number that is none must not become a verdict."""
    require_shape(pair_logits, (1, pairs), "detector.onnx")
    require_shape(clip_logit, (1,), "detector.onnx")
    if not (np.isfinite(pair_logits).all() and np.isfinite(clip_logit).all()):
        raise BundleError("detector.onnx gave a logit that is not a number: the bundle is not fit for use")
    return pair_logits[0], float(clip_logit[0])
