"""A `flowtell.Detector` as the load generator sees it, and the face clips that it is loaded with."""

import queue
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import flowtell
from flowtell.benchmarks.scenarios import Completion

__all__ = ["DetectorSystem", "clip_outputs", "sample_clips"]


def sample_clips(detector, videos, clips_per_video, pairs):
    """Return the face clips that serve as samples: uint8 `[pairs + 1, S, S, 3]` each, of real frames.

    Args:
        detector: whose bundle cuts them.
        videos: paths.
        clips_per_video: at most so many of each, evenly spread.
        pairs: T of a sample; longer clips are cut, shorter ones left out.

    Raises:
        flowtell.InputError: where no video has a face clip of that length, or no clip of this bundle can.
        flowtell.DecodeError: where a video cannot be read to its end.
    """
    most = detector.bundle.manifest.pairs_per_clip
    if pairs > most:
        raise flowtell.InputError(f"clips of this bundle have {most} pairs at most, and none has {pairs}")
    clips = []
    for video in videos:
        try:
            clips += [
                clip.frames[: pairs + 1]
                for clip in flowtell.iter_face_clips(video, detector.bundle, max_clips=clips_per_video)
                if len(clip.frames) > pairs
            ]
        except flowtell.DecodeError as error:
            raise flowtell.DecodeError(error.state, f"'{video}': {error}") from error
    if not clips:
        raise flowtell.InputError(
            f"no face clip of {pairs} pairs in {', '.join(map(str, videos))}: name videos with a face in them"
        )
    return clips


def clip_outputs(detector, clip):
    """Return what a detector says of one face clip, `float32 [T + 1]`: its pairs' logits, then the clip's."""
    scores = detector.score_clips(clip[None])
    return np.append(scores.pair_logits[0], scores.clip_logits[0])


class DetectorSystem:
    """Runs samples on a detector, as many at a time as its calls hold; outputs are those of `clip_outputs`.

    Use as a context manager; leaving it waits for what is still running.
    """

    def __init__(self, detector, clips):
        self._detector = detector
        self._clips = clips
        self._done = queue.SimpleQueue()
        busy = detector.threads * detector.clips_per_call
        self._pool = ThreadPoolExecutor(busy, thread_name_prefix="load")

    def __enter__(self):
        """Return the system."""
        return self

    def __exit__(self, *_):
        """Wait for what is still running and end the threads."""
        self._pool.shutdown(cancel_futures=True)

    @staticmethod
    def now_s():
        """Return the clock, in seconds."""
        return time.perf_counter()

    def issue(self, query, samples):
        """Begin a query on the samples of these indices."""
        for position, index in enumerate(samples):
            self._pool.submit(self._run, query, position, index)

    def collect(self, until_s):
        """Wait for completions, at the longest until `until_s` by the clock; return a list of them.

        Raises:
            flowtell.FlowtellError: what a sample failed with.
        """
        done = []
        try:
            wait_s = None if until_s is None else max(until_s - self.now_s(), 0.0)
            done.append(self._done.get(timeout=wait_s))
            while True:
                done.append(self._done.get_nowait())
        except queue.Empty:
            pass
        for item in done:
            if isinstance(item, BaseException):
                raise item
        return done

    def _run(self, query, position, index):
        try:
            outputs = clip_outputs(self._detector, self._clips[index])
            self._done.put(Completion(query, position, self.now_s(), outputs))
        except BaseException as error:  # it belongs to the thread that collects
            self._done.put(error)
