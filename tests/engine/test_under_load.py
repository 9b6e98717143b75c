"""Many files and many callers at once: the same results, and an end as soon as one is asked for."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import pytest

from flowtell import Detector, InputError, ProviderError, _frames, samples
from flowtell._cores import Cores
from flowtell._decode_limits import DecodeLimits
from flowtell._files_in_turn import results_in_turn
from flowtell._judging import JudgePool
from flowtell._run_control import RunControl

NATURAL, SWAPPED = samples.natural_path(), samples.swapped_path()


def without_times(result):
    document = result.to_dict()
    del document["timing_ms"]
    return document


@pytest.fixture(scope="module")
def alone(tiny_bundle):
    """What one thread says about each sample on its own."""
    with Detector.open(tiny_bundle, threads=1) as detector:
        return {path: without_times(detector.detect(path)) for path in (NATURAL, SWAPPED)}


@pytest.mark.parametrize("threads", [1, 3])
def test_files_in_a_row_give_what_each_gives_alone(tiny_bundle, alone, tmp_path, threads, leaves_no_thread):
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    with Detector.open(tiny_bundle, threads=threads) as detector:
        results = list(detector.detect_many([NATURAL, broken, SWAPPED, tmp_path / "nowhere.mp4"]))
    assert [result.state for result in results] == ["ok", "undecodable", "ok", "undecodable"]
    assert [without_times(results[0]), without_times(results[2])] == [alone[NATURAL], alone[SWAPPED]]


def test_paths_are_drawn_two_ahead_and_no_more(motion_bundle, leaves_no_thread):
    drawn = []

    def paths():
        for index in range(100):
            drawn.append(index)
            yield NATURAL

    with Detector.open(motion_bundle) as detector, closing(detector.detect_many(paths())) as results:
        next(results)
        assert len(drawn) == 2


def test_progress_of_many_files_names_the_file(motion_bundle, leaves_no_thread):
    seen = []
    with Detector.open(motion_bundle) as detector:
        list(detector.detect_many([NATURAL, SWAPPED], progress=lambda index, p: seen.append((index, p))))
    for index in (0, 1):
        own = [progress for number, progress in seen if number == index]
        assert own[-1].judged == own[-1].clips == 6


def test_an_error_of_progress_ends_the_run_of_many(motion_bundle, leaves_no_thread):
    def fail(*_):
        raise RuntimeError("mine")

    with Detector.open(motion_bundle) as detector, pytest.raises(RuntimeError, match="mine"):
        list(detector.detect_many([NATURAL] * 50, progress=fail))


def test_time_that_is_up_is_a_state_and_no_verdict(tiny_bundle, leaves_no_thread):
    with Detector.open(tiny_bundle) as detector:
        result = detector.detect(NATURAL, timeout_s=1e-3)
        assert (result.state, result.verdict, result.fake_probability) == ("timed_out", "undecided", None)
        assert result.reason == "its time was up before it was judged"
        assert result.stopped == "budget"
        assert not result.is_judged
        states = [result.state for result in detector.detect_many([NATURAL, SWAPPED], timeout_s=1e-3)]
        assert states == ["timed_out", "timed_out"]
        # more seconds than a system can wait
        for enough_s in (600, 1e300):
            assert detector.detect(NATURAL, max_clips=1, timeout_s=enough_s).state == "ok"
            (of_many,) = detector.detect_many([NATURAL], max_clips=1, timeout_s=enough_s)
            assert of_many.state == "ok"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="decoding in another process needs Linux")
def test_a_decoder_that_hangs_does_not_hold_up_whoever_gave_up(tiny_bundle, write_video, leaves_no_thread):
    path = write_video("long.mp4", (np.full((720, 1280, 3), n, np.uint8) for n in range(200)))
    stopped = []

    def stop_its_decoder(_):
        if not stopped:
            (decoder,) = set(_frames._pool._all) - set(_frames._pool._idle)
            os.kill(decoder.pid, signal.SIGSTOP)
            stopped.append(decoder)

    begun_s = time.monotonic()
    with Detector.open(tiny_bundle) as detector:
        result = detector.detect(path, timeout_s=2, progress=stop_its_decoder)
    assert result.state == "timed_out"
    assert time.monotonic() - begun_s < DecodeLimits().frame_s
    assert not stopped[0].is_alive()


@pytest.mark.parametrize("bad", [0, -1, float("nan"), float("inf"), "1", True])
def test_other_timeouts_are_refused(motion_bundle, bad):
    with Detector.open(motion_bundle) as detector:
        with pytest.raises(InputError, match="timeout_s must be"):
            detector.detect(NATURAL, timeout_s=bad)
        with pytest.raises(InputError, match="timeout_s must be"):
            detector.detect_many([NATURAL], timeout_s=bad)


def test_a_closed_detector_judges_no_more(motion_bundle, leaves_no_thread):
    detector = Detector.open(motion_bundle)
    detector.close()
    detector.close()
    for path in (NATURAL, "nowhere.mp4"):
        with pytest.raises(InputError, match="closed"):
            detector.detect(path)
        with pytest.raises(InputError, match="closed"):
            detector.detect_many([path])
    with pytest.raises(InputError, match="closed"):
        detector.score_clips(np.zeros((1, 5, 64, 64, 3), np.uint8))


def test_a_detector_that_is_forgotten_ends_its_threads(motion_bundle, leaves_no_thread):
    Detector.open(motion_bundle).detect(NATURAL, max_clips=1)


def test_threads_that_may_not_be_started_are_a_sentence_and_end(tiny_bundle, monkeypatch, leaves_no_thread):
    start = threading.Thread.start

    def refuse(thread):
        if thread.name.endswith("-2"):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(ProviderError, match="may not start 4 more threads"):
        Detector.open(tiny_bundle, threads=4)


def test_closing_ends_what_is_being_judged(tiny_bundle, leaves_no_thread):
    detector = Detector.open(tiny_bundle, threads=1)
    clips = np.zeros((400, 17, 64, 64, 3), np.uint8)
    with ThreadPoolExecutor(1) as caller:
        future = caller.submit(detector.score_clips, clips)
        while not detector._pool._running:
            time.sleep(1e-3)
        detector.close()
        with pytest.raises(InputError, match="closed"):
            future.result()


def test_closing_does_not_wait_for_a_progress_that_waits_for_it(motion_bundle, leaves_no_thread):
    detector = Detector.open(motion_bundle, threads=1)
    reached, closed = threading.Event(), threading.Event()

    def progress(_):
        reached.set()
        closed.wait()

    with ThreadPoolExecutor(1) as caller:
        future = caller.submit(detector.detect, NATURAL, max_clips=1, progress=progress)
        reached.wait()
        # a worker that wants the core of whoever is in progress
        detector._pool.submit(np.zeros((5, 64, 64, 3), np.uint8), RunControl())
        time.sleep(0.05)
        closer = threading.Thread(target=detector.close)
        closer.start()
        closer.join(30)
        is_closed = not closer.is_alive()
        closed.set()
        assert is_closed
        with pytest.raises(InputError, match="closed"):
            future.result()


def test_a_sample_is_not_read_on_once_the_detector_is_closed(motion_bundle, leaves_no_thread):
    detector, frames = Detector.open(motion_bundle), []

    def progress(seen):
        frames.append(seen)
        if len(frames) == 3:
            closer.start()
            while not detector._pool._is_closed:
                time.sleep(1e-3)

    closer = threading.Thread(target=detector.close)
    with pytest.raises(InputError, match="closed"):
        detector.detect(NATURAL, max_clips=1, progress=progress)
    closer.join()
    assert len(frames) == 3


def test_results_that_are_dropped_in_a_thread_of_theirs_do_not_wait_for_it():
    release = threading.Event()

    def judge(number, *_):
        if number:
            release.wait()
        return number

    results = results_in_turn(iter("ab"), judge, lambda: None, timeout_s=None, overlapping=True)
    assert next(results) == 0
    collector = threading.Thread(target=results.close)
    collector.start()
    collector.join(30)
    release.set()
    assert not collector.is_alive()


def test_a_row_that_is_left_ends_what_waits_for_a_core():
    cores, left = Cores(1), []

    def judge(number, _, control):
        if number:
            with cores.held(urgent=True, control=control):
                pass
        return number

    def leave():
        results = results_in_turn(iter("ab"), judge, lambda: None, timeout_s=None, overlapping=True)
        left.append(next(results))
        results.close()

    with cores.held(urgent=True):
        leaving = threading.Thread(target=leave, daemon=True)
        leaving.start()
        leaving.join(30)
        assert not leaving.is_alive()
    assert left == [0]


def test_sixteen_callers_get_what_one_gets(tiny_bundle, leaves_no_thread):
    rng = np.random.default_rng(0)
    clips = rng.integers(0, 256, (8, 1, 5, 64, 64, 3), dtype=np.uint8)
    with Detector.open(tiny_bundle) as detector, ThreadPoolExecutor(16) as callers:
        wanted = [detector.score_clips(clip) for clip in clips]
        for index, got in enumerate(callers.map(lambda i: detector.score_clips(clips[i % 8]), range(320))):
            assert np.array_equal(got.pair_logits, wanted[index % 8].pair_logits)
            assert np.array_equal(got.flow, wanted[index % 8].flow)


@pytest.mark.parametrize("clips_per_call", [2, 5])
def test_clips_of_many_runs_that_share_a_call_score_as_alone(tiny_bundle, clips_per_call):
    rng = np.random.default_rng(1)
    clips = [
        rng.integers(0, 256, (pairs + 1, 64, 64, 3), dtype=np.uint8) for pairs in (4, 16, 4, 4, 7, 16, 4)
    ]
    with Detector.open(tiny_bundle) as detector:
        wanted = [detector.score_clips(clip[None]) for clip in clips]
        cores = Cores(1)
        pool = JudgePool(detector._pool._session, 1, clips_per_call, cores)
        try:
            with cores.held(urgent=True):  # nothing is judged until all of them wait
                tickets = [pool.submit(clip, RunControl(), with_flow=True) for clip in clips]
                calls = count_calls(pool)
            for ticket, one in zip(tickets, wanted, strict=True):
                logits = ticket.future.result()
                assert np.array_equal(logits.pair_logits, one.pair_logits[0])
                assert logits.clip_logit == one.clip_logits[0]
                assert np.array_equal(logits.flow, one.flow[0])
        finally:
            pool.close()
    # four clips of 4 pairs, two of 16, one of 7
    assert len(calls) == {2: 4, 5: 3}[clips_per_call]


def count_calls(pool):
    """Note the size of every call that the pool makes from now on."""
    session, sizes = pool._session, []

    class Counting:
        def run(self, names, call=None, **inputs):
            sizes.append(len(inputs["clips"]))
            return session.run(names, call, **inputs)

    pool._session = Counting()
    return sizes


def test_a_run_that_was_cancelled_takes_no_one_else_s_clips_back(tiny_bundle):
    clips = np.zeros((6, 5, 64, 64, 3), np.uint8)
    with Detector.open(tiny_bundle, threads=1) as detector:
        pool, kept, dropped = detector._pool, RunControl(), RunControl()
        tickets = [pool.submit(clip, control) for clip in clips for control in (dropped, kept)]
        pool.withdraw(dropped)
        results = [ticket.future for ticket in tickets if ticket.control is kept]
        assert len({future.result().clip_logit for future in results}) == 1
