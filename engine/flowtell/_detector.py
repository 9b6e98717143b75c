"""The detector: a bundle, opened, that judges files and face clips from any number of threads."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import CancelledError
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._arguments import require_path
from ._auto_provider import open_fastest
from ._bundle import Bundle, bundle_from_argument
from ._cores import Cores
from ._effort import EVERYTHING, Effort, one_effort
from ._errors import BundleError, InputError
from ._file_run import FileRun
from ._files_in_turn import results_in_turn, row_of
from ._heap import process_heap
from ._judging import ClipLogits, JudgePool
from ._manifest import PRECISIONS
from ._pipeline import FaceGraphs, Progress, open_face_graphs
from ._profile import MAX_CLIPS_PER_CALL, MAX_THREADS, Profile
from ._providers import Provider, provider_called
from ._result import Result
from ._run_control import RunControl, require_timeout
from ._sessions import GraphSession, open_session
from ._stream import Stream
from ._usable_cores import usable_cores
from ._verdict import Judge, sigmoid

__all__ = ["ClipScores", "Detector"]


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
    judged at the same time. Its threads end with `close`, with the `with` block that it opens, or with the
    object itself.
    """

    def __init__(
        self,
        bundle: Bundle,
        provider: Provider,
        precision: str,
        graphs: FaceGraphs,
        detector: GraphSession,
        threads: int,
        clips_per_call: int,
    ) -> None:
        self._bundle = bundle
        self._provider = provider
        self._precision = precision
        self._threads = threads
        self._clips_per_call = clips_per_call
        self._graphs = graphs
        self._cores = Cores(threads)
        self._pool = JudgePool(detector, threads, clips_per_call, self._cores)
        self._finalizer = weakref.finalize(self, self._pool.close)

    @classmethod
    def open(
        cls,
        bundle: Bundle | str | os.PathLike[str] | None = None,
        *,
        provider: str = "auto",
        precision: str = "fp32",
        threads: int | None = None,
        clips_per_call: int | None = None,
        profile: Profile | None = None,
    ) -> Detector:
        """Open a bundle for judging.

        Args:
            bundle: a bundle's folder, an open bundle, or None for the one that comes with the package.
            provider: `cpu`, `openvino`, `cuda` or `tensorrt`, which is used or it is an error; `auto` takes
                what is clearly faster than the CPU and says what it says, or the CPU, and remembers it.
            precision: what the detector graph computes in: `fp32`, `fp16`, `bf16` or `int8`, where the
                bundle has it. `bf16` is for `openvino` on a CPU with arithmetic in it.
            threads: how many compute at the same time, reading and judging together, 1 to 256; None: as many
                as this process has cores.
            clips_per_call: how many face clips share a call to the detector at most, 1 to 64, to a TensorRT
                plan 8; None: what suits the provider. On the `cpu` provider scores do not depend on it.
            profile: what `flowtell bench tune` found for this bundle, instead of the four settings above.

        Raises:
            BundleError: where the bundle is missing, altered, malformed, or lacks the detector in it.
            ProviderError: where the provider cannot be used here; the message says what to install.
            InputError: for any other argument that is out of range, settings beside a profile, and a profile
                of another bundle.
        """
        if profile is not None:
            if not isinstance(profile, Profile):
                raise InputError(f"profile must be a Profile, as Profile.read gives it, not {profile!r}")
            if (provider, precision, threads, clips_per_call) != ("auto", "fp32", None, None):
                raise InputError("a profile sets provider, precision, threads and clips per call itself")
            bundle = bundle_from_argument(bundle)
            profile.require_for(bundle.sha256)
            provider, precision = profile.provider, profile.precision
            threads, clips_per_call = profile.threads, profile.clips_per_call
        if threads is None:
            threads = min(usable_cores(), MAX_THREADS)
        _require_count("threads", threads, MAX_THREADS)
        if clips_per_call is not None:
            _require_count("clips_per_call", clips_per_call, MAX_CLIPS_PER_CALL)
        if precision not in PRECISIONS:
            raise InputError(f"precision must be one of {', '.join(PRECISIONS)}, not {precision!r}")
        named = None if provider == "auto" else provider_called(provider)
        opened = bundle_from_argument(bundle)
        if "detector" not in opened.manifest.graphs:
            raise BundleError(
                f"the bundle '{opened.manifest.name}' has no detector graph, so it cannot judge"
            )
        graphs = open_face_graphs(opened, threads)
        if named is None:
            named, detector = open_fastest(opened, precision, graphs, threads)
            clips = named.clips_in_a_call(clips_per_call)
        else:
            clips = named.clips_in_a_call(clips_per_call)
            detector = open_session(opened, "detector", precision, named, threads)
        return cls(opened, named, precision, graphs, detector, threads, clips)

    @property
    def bundle(self) -> Bundle:
        """The bundle that was opened."""
        return self._bundle

    @property
    def provider(self) -> str:
        """What runs the detector, as its runtime names it: such as `CPUExecutionProvider`, `OpenVINO CPU`."""
        return self._provider.reported_name

    @property
    def precision(self) -> str:
        """What the detector graph computes in: `fp32`, `fp16`, `bf16` or `int8`."""
        return self._precision

    @property
    def threads(self) -> int:
        """How many threads compute at the same time, reading and judging together."""
        return self._threads

    @property
    def clips_per_call(self) -> int:
        """How many face clips share a call to the detector at most."""
        return self._clips_per_call

    def __enter__(self) -> Detector:
        """Return the detector."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """End its threads; what it is judging ends with an `InputError`. A closed detector judges no more.

        Raises:
            InputError: from within `progress` of a run of its own.
        """
        if not self._pool.is_own:
            # a fork's: its locks may be held by threads that it does not have
            return
        self._cores.require_none_held()
        with process_heap.run():
            self._finalizer()

    def detect(
        self,
        path: str | os.PathLike[str],
        *,
        max_clips: int | None = None,
        effort: Effort = EVERYTHING,
        timeout_s: float | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> Result:
        """Judge a video file.

        A file that cannot be judged is a result too: its `state` and `reason` say why, its verdict is
        `undecided` and its probability None.

        Args:
            path: a video file.
            max_clips: judge at most so many face clips (1 to 256), evenly spread over the file, those of
                faces in the background last; short for `effort=Effort(max_clips=...)`.
            effort: how much of the file to look at; every clip by default.
            timeout_s: give up after so many seconds of wall time, in the state `timed_out`; None never does.
            progress: called with a `Progress` after each frame that is read and each clip that is judged; it
                cannot use this detector.

        Raises:
            InputError: for an argument of another type or out of range, and where the detector is closed.
            ProviderError, BundleError: where a graph fails while it runs; never a score.
            IsolationError: where no process that decodes videos can be started.
        """
        control = RunControl(require_timeout(timeout_s))
        return self._detect(path, one_effort(max_clips, effort), control, progress)

    def detect_many(
        self,
        paths: Iterable[str | os.PathLike[str]],
        *,
        max_clips: int | None = None,
        effort: Effort = EVERYTHING,
        timeout_s: float | None = None,
        progress: Callable[[int, Progress], None] | None = None,
    ) -> Generator[Result, None, None]:
        """Judge files one after the other, each read while the last clips of the one before are judged.

        With `timeout_s` or `Effort(compute_s=...)` one file is done before the next is begun: each has its
        time to itself. Each result is what `detect` gives for that file, but for its times. Closing the
        generator ends what it began.

        Args:
            paths: video files, drawn one ahead: a result comes when the path after it has been drawn.
            max_clips: as in `detect`, for each file.
            effort: as in `detect`, for each file.
            timeout_s: as in `detect`, for each file, from when it is begun.
            progress: called with the file's index and a `Progress`, from the thread that follows its faces.

        Returns:
            A generator of the results, in the order of `paths`; `close` it where it is left early.

        Raises:
            InputError: as `detect`, on the call.
            ProviderError, BundleError, IsolationError, InputError: as `detect`, instead of a file's result;
                the generator ends there, and files after it are not judged.
        """
        effort, timeout_s, row = one_effort(max_clips, effort), require_timeout(timeout_s), row_of(paths)
        self._pool.require_caller()

        def judge(index: int, path: str | os.PathLike[str], control: RunControl) -> Result:
            report = None if progress is None else lambda latest: progress(index, latest)
            return self._detect(path, effort, control, report)

        is_timed = timeout_s is not None or effort.compute_s is not None
        caller = self._pool.require_caller
        return results_in_turn(row, judge, caller, timeout_s=timeout_s, overlapping=not is_timed)

    def stream(self) -> Stream:
        """Return a stream for live video, whose frames are pushed one at a time.

        Any number of streams and files share the detector; each stream is for one thread at a time.

        Raises:
            InputError: where the detector is closed.
        """
        self._pool.require_open()
        return Stream(self._graphs, self._pool, self._cores, self._judge(), owner=self)

    def _judge(self) -> Judge:
        return Judge(self._bundle, self.provider, self._precision)

    def score_clips(self, clips: NDArray[np.uint8]) -> ClipScores:
        """Judge face clips that were cut elsewhere, for instance by `iter_face_clips`.

        Args:
            clips: `uint8 [B, T + 1, S, S, 3]` RGB in host memory, T at least 1, S the bundle's crop size.

        Raises:
            InputError: for another dtype or shape, and where the detector is closed.
            ProviderError, BundleError: where the graph fails while it runs.
        """
        side = self.bundle.manifest.crop_size
        self._pool.require_caller()
        try:
            array = np.asarray(clips)
        except (TypeError, ValueError) as error:
            # memory of a device, or clips of several shapes
            raise InputError(f"clips must be one array in host memory: {error}") from None
        if array.dtype != np.uint8 or array.ndim != 5 or array.shape[2:] != (side, side, 3):
            raise InputError(
                f"clips must be uint8 [B, T + 1, {side}, {side}, 3], not {array.dtype} {list(array.shape)}"
            )
        if array.shape[0] < 1 or array.shape[1] < 2:
            raise InputError("clips must hold at least one clip of at least two frames")
        scored = self._score_with_flow(np.ascontiguousarray(array))
        clip_logits = np.array([logits.clip_logit for logits in scored], dtype=np.float32)
        return ClipScores(
            np.stack([logits.pair_logits for logits in scored]),
            clip_logits,
            np.array([sigmoid(float(logit)) for logit in clip_logits]),
            np.stack([logits.flow for logits in scored if logits.flow is not None]),
        )

    def _score_with_flow(self, clips: NDArray[np.uint8]) -> list[ClipLogits]:
        control = RunControl()
        try:
            tickets = [self._pool.submit(frames, control, with_flow=True) for frames in clips]
            return [ticket.future.result() for ticket in tickets]
        except CancelledError:
            raise InputError("the detector was closed while it judged: open it again") from None
        finally:
            self._pool.withdraw(control)

    def _detect(
        self,
        path: str | os.PathLike[str],
        effort: Effort,
        control: RunControl,
        progress: Callable[[Progress], None] | None,
    ) -> Result:
        require_path(path)
        self._pool.require_caller()
        manifest = self._bundle.manifest
        with process_heap.run():
            run = FileRun(self._graphs, self._pool, self._cores, path, effort, control, progress)
            try:
                run.judge(manifest)
                return run.result(self._judge())
            finally:
                # what it read last goes before the heap is emptied
                del run


def _require_count(name: str, value: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise InputError(f"{name} must be an integer from 1 to {most}, not {value!r}")
