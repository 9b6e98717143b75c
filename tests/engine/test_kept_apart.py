"""What one run, caller or process does is not what another one waits for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from flowtell import DecodeError, Detector, Effort, InputError, _frames, iter_face_clips, samples

NATURAL, SWAPPED = samples.natural_path(), samples.swapped_path()


class Slow:
    """The tiny bundle's graph, but each call takes a while: what a larger network does to its callers."""

    def __init__(self, session):
        self._session = session

    def run(self, names, call=None, **inputs):
        time.sleep(0.02)
        return self._session.run(names, call, **inputs)


def test_a_file_has_its_time_to_itself(tiny_bundle):
    """Where each waited for the one before, its clock running, every second one would get hardly a run."""
    with Detector.open(tiny_bundle, threads=1) as detector:
        detector._pool._session = Slow(detector._pool._session)
        # 24 runs of 20 ms each
        effort = Effort(compute_s=0.3)
        results = list(detector.detect_many([NATURAL] * 6, effort=effort))
        judged = [result.pairs_judged for result in results]
        assert min(judged) > max(judged) / 3
        begun_s = time.monotonic()
        detector.detect(NATURAL)
        enough_s = 3 * (time.monotonic() - begun_s)
        states = [result.state for result in detector.detect_many([NATURAL] * 6, timeout_s=enough_s)]
        assert states == ["ok"] * 6


def test_time_that_is_up_leaves_clips_in_their_order(tiny_bundle):
    with Detector.open(tiny_bundle, threads=1) as detector:
        detector._pool._session = Slow(detector._pool._session)
        begun_s = time.monotonic()
        detector.detect(NATURAL, effort=Effort(compute_s=1e-9))
        reading_s = time.monotonic() - begun_s
        result = detector.detect(NATURAL, effort=Effort(compute_s=60.0), timeout_s=reading_s + 0.2)
    starts = [clip.start_s for face in result.faces for clip in face.clips]
    assert result.state in ("timed_out", "ok")
    assert starts == sorted(starts)


@pytest.mark.skipif(sys.platform != "linux", reason="decoders are processes of their own on Linux only")
def test_a_decoder_that_hangs_keeps_no_core_from_others(tiny_bundle):
    clip = np.zeros((1, 5, 64, 64, 3), np.uint8)
    with Detector.open(tiny_bundle, threads=1) as detector, ThreadPoolExecutor(2) as callers:
        decoder = _frames._pool.take()
        os.kill(decoder.pid, signal.SIGSTOP)
        # it will be the next file's
        _frames._pool._idle.append(decoder)
        stuck = callers.submit(detector.detect, NATURAL)
        while decoder in _frames._pool._idle:
            time.sleep(1e-3)
        try:
            # far below the 30 s that a file waits for its decoder
            assert len(callers.submit(detector.score_clips, clip).result(20).clip_logits) == 1
        finally:
            os.kill(decoder.pid, signal.SIGKILL)
        assert stuck.result().state == "undecodable"


def test_time_is_up_for_a_file_that_waits_for_another_s_progress(tiny_bundle):
    release, reached = threading.Event(), threading.Event()

    def progress(_):
        reached.set()
        release.wait()

    with Detector.open(tiny_bundle, threads=1) as detector, ThreadPoolExecutor(2) as callers:
        slow = callers.submit(detector.detect, NATURAL, max_clips=1, progress=progress)
        reached.wait()
        try:
            waiting = callers.submit(detector.detect, SWAPPED, timeout_s=0.1)
            assert waiting.result(30).state == "timed_out"
            # and so does a row that is left
            results = detector.detect_many([SWAPPED, SWAPPED])
            first = callers.submit(next, results)
            with pytest.raises(TimeoutError):
                first.result(0.1)
        finally:
            release.set()
        assert first.result(30).state == "ok"
        results.close()
        assert slow.result().state == "ok"


def test_what_progress_raises_is_no_state_of_the_file(tiny_bundle):
    def read_another(_):
        list(iter_face_clips("nowhere.mp4", tiny_bundle))

    with Detector.open(tiny_bundle, threads=1) as detector:
        with pytest.raises(DecodeError, match="nowhere"):
            list(iter_face_clips(NATURAL, tiny_bundle, progress=read_another))
        with pytest.raises(DecodeError, match="nowhere"):
            detector.detect(NATURAL, progress=read_another)


@pytest.mark.parametrize("use", ["detect", "detect_many", "next", "score_clips", "push", "close"])
def test_progress_cannot_use_the_detector_that_calls_it(tiny_bundle, use):
    """It would wait for the core that its own caller holds."""
    clip = np.zeros((1, 5, 64, 64, 3), np.uint8)
    with Detector.open(tiny_bundle, threads=1) as detector, detector.stream() as stream:
        row = detector.detect_many([NATURAL, NATURAL, NATURAL])
        next(row)
        uses = {
            "detect": lambda: detector.detect(NATURAL),
            "detect_many": lambda: list(detector.detect_many([NATURAL])),
            "next": lambda: next(row, None),
            "score_clips": lambda: detector.score_clips(clip),
            "push": lambda: stream.push(clip[0, 0], timestamp_s=0.0),
            "close": detector.close,
        }
        with pytest.raises(InputError, match="a progress callback cannot use the detector that calls it"):
            detector.detect(SWAPPED, progress=lambda _: uses[use]())
        uses[use]()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_detector_is_of_the_process_that_opened_it(tiny_bundle):
    code = """
import os, sys, numpy as np, flowtell
detector = flowtell.Detector.open(sys.argv[1], threads=1)
clip = np.zeros((1, 5, 64, 64, 3), np.uint8)
detector.score_clips(clip)
child = os.fork()
if child == 0:
    for use in (lambda: detector.score_clips(clip), lambda: detector.detect(sys.argv[2]), detector.stream):
        try:
            use()
        except flowtell.InputError as error:
            assert "before this process was forked" in str(error)
        else:
            raise SystemExit(1)
    raise SystemExit(0)
assert os.waitpid(child, 0)[1] == 0
assert detector.detect(sys.argv[2]).state == "ok"
"""
    words = [sys.executable, "-c", code, str(tiny_bundle), str(NATURAL)]
    subprocess.run(words, check=True, timeout=120)
