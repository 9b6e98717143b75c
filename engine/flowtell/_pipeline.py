"""From a video file to face clips: decode, faces, tracks and crops in one pass."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from ._arguments import require_path
from ._budget import EvenSample, require_clip_budget
from ._bundle import Bundle, bundle_from_argument
from ._clips import ClipMaker, FaceClip
from ._clock import StageClock
from ._errors import DecodeError
from ._face_crops import Cropper, WaitingPixels
from ._faces import FaceFinder
from ._frame import Frame
from ._frames import open_frames
from ._providers import provider_called
from ._run_control import Interrupt
from ._sessions import GraphSession, open_session

__all__ = ["ClipReader", "FaceGraphs", "Progress", "iter_face_clips", "open_face_graphs"]

_MAX_WAITING_BYTES = 1 << 27
"""What boxes that wait for the sample to be known may take beyond what its crops would: 128 MiB, as much as
four clips and a fifth that grows take of a face of 580 px in RGB and of 820 px in 4:2:0 (T = 16, margin 1.3,
S = 256)."""


@dataclass(frozen=True)
class Progress:
    """How far a file has been read.

    Attributes:
        time_s: presentation time of the latest frame, in seconds.
        duration_s: what the file's header says it lasts; None where it does not, and not to be trusted.
        clips: face clips found so far; once a file has been read of which a sample or runs are judged, those.
        judged: how many of them have been judged.
    """

    time_s: float
    duration_s: float | None
    clips: int
    judged: int


@dataclass(frozen=True)
class FaceGraphs:
    """The three graphs that every user of a bundle needs, open, with the sizes that go with them."""

    faces: GraphSession
    cuts: GraphSession
    crop: GraphSession
    crop_size: int
    pairs_per_clip: int
    crop_margin: float

    def clip_maker(self, clock: StageClock, *, is_sampled: bool = False) -> ClipMaker:
        """Return a maker of face clips for one video, whose stages count towards `clock`.

        Where only a sample of the clips will be looked at, crops are made when they are.
        """
        waiting = WaitingPixels(_MAX_WAITING_BYTES) if is_sampled else None
        finder = FaceFinder(self.faces, clock)
        cropper = Cropper(self.cuts, self.crop, self.crop_size, clock)
        return ClipMaker(finder, cropper, self.pairs_per_clip, self.crop_margin, waiting)


class ClipReader:
    """Iterates over the face clips of one file, once, and then knows how the reading went.

    Its frames may be read in one thread and its clips made in another.

    Attributes:
        failure: why the file could not be read, or not to its end; None where it could.
        maker: counts frames, faces and pairs.
    """

    def __init__(
        self,
        graphs: FaceGraphs,
        path: str | os.PathLike[str],
        clock: StageClock,
        progress: Callable[[Progress], None] | None = None,
        *,
        is_sampled: bool = False,
    ) -> None:
        self._path = path
        self._clock = clock
        self._progress = progress
        self.maker = graphs.clip_maker(clock, is_sampled=is_sampled)
        self.failure: DecodeError | None = None
        self._duration_s: float | None = None
        self._latest = Progress(0.0, None, 0, 0)

    def __iter__(self) -> Iterator[FaceClip]:
        """Yield clips as they complete; those of a broken file up to where it breaks."""
        with closing(self.frames()) as frames:
            yield from self.clips(frames)

    def frames(self, interrupt: Interrupt | None = None) -> Generator[Frame, None, None]:
        """Yield the frames of the file. `interrupt` ends the wait for one, as if the decoder had broken down.

        Raises:
            DecodeError: after the last good one, where it cannot be read, or not to its end.
        """
        with open_frames(self._path, interrupt=interrupt) as reader:
            self._duration_s = reader.duration_s
            frames = iter(reader)
            while True:
                with self._clock.stage("decode"):
                    frame = next(frames, None)
                if frame is None:
                    return
                yield frame

    def clips(self, frames: Iterable[Frame]) -> Iterator[FaceClip]:
        """Yield the clips of `frames`, those of this reader's own, as they complete."""
        left = iter(frames)
        while True:
            try:
                frame = next(left, None)
                done = [] if frame is None else self.maker.push(frame)
            except DecodeError as error:
                self.failure = error
                break
            if frame is None:
                break
            # outside: what a caller's progress raises is no failure of the file
            clips = self._latest.clips + len(done)
            self._report(time_s=frame.time_s, duration_s=self._duration_s, clips=clips)
            yield from done
        try:
            done = self.maker.finish()
        except DecodeError as error:
            # colours of the last frames, which were not made before
            self.failure, done = self.failure or error, []
        self._report(clips=self._latest.clips + len(done))
        yield from done

    @property
    def duration_s(self) -> float | None:
        """What the file's header says it lasts, in seconds; None where it does not, and not to be trusted."""
        return self._duration_s

    def share_until(self, time_s: float) -> float | None:
        """Return the share of the file that lies before a time; None where its header does not tell."""
        if self._duration_s is None or not 0 < time_s < self._duration_s:
            return None
        return time_s / self._duration_s or None

    @property
    def time_s(self) -> float:
        """Presentation time of the latest frame, in seconds."""
        return self._latest.time_s

    def expect(self, items: int) -> None:
        """Report that so many things may be judged, instead of the clips that were found."""
        self._report(clips=items)

    def count_judged(self) -> None:
        """Report that one more clip has been judged."""
        self._report(judged=self._latest.judged + 1)

    def _report(self, **changes: Any) -> None:
        self._latest = replace(self._latest, **changes)
        if self._progress is not None:
            self._progress(self._latest)


def open_face_graphs(bundle: Bundle, threads: int = 1) -> FaceGraphs:
    """Open `faces.onnx`, `cuts.onnx` and `crop.onnx` of a bundle on the CPU, for so many threads at a time.

    Raises:
        BundleError, ProviderError: as `open_session`.
    """
    manifest = bundle.manifest
    return FaceGraphs(
        open_session(bundle, "faces", "fp32", provider_called("cpu"), threads),
        open_session(bundle, "cuts", "fp32", provider_called("cpu"), threads),
        open_session(bundle, "crop", "fp32", provider_called("cpu"), threads),
        manifest.crop_size,
        manifest.pairs_per_clip,
        manifest.crop_margin,
    )


def iter_face_clips(
    path: str | os.PathLike[str],
    bundle: Bundle | str | os.PathLike[str] | None = None,
    *,
    max_clips: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Iterator[FaceClip]:
    """Yield the face clips of a video: the very crops that `Detector.detect` judges.

    Args:
        path: a video file.
        bundle: an open bundle, a bundle's folder, or None for the default; only its graphs up to the
            crop are used.
        max_clips: yield at most so many (1 to 256), evenly spread over the file, once it has been read to its
            end; None yields every clip as it completes.
        progress: called with a `Progress` after each frame.

    Raises:
        BundleError, ProviderError, InputError: on the call.
        DecodeError: after the last good clip, where the file cannot be read, or not to its end.
        IsolationError: where no process that decodes videos can be started.
    """
    require_path(path)
    require_clip_budget(max_clips)
    graphs = open_face_graphs(bundle_from_argument(bundle))
    is_sampled = max_clips is not None
    return _face_clips(ClipReader(graphs, path, StageClock(), progress, is_sampled=is_sampled), max_clips)


def _face_clips(reader: ClipReader, max_clips: int | None) -> Iterator[FaceClip]:
    if max_clips is None:
        yield from reader
    else:
        sample: EvenSample[FaceClip] = EvenSample(max_clips)
        for clip in reader:
            sample.offer(clip, preferred=not clip.is_background)
        for clip in sample.items():
            _ = clip.frames  # whoever gets it gets pictures, and nothing of ours
            yield clip
    if reader.failure is not None:
        raise reader.failure
