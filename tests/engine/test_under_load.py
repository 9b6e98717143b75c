"""Many files and many callers at once: the same results, and an end as soon as one is asked for."""

from __future__ import annotations

import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import pytest

from flowtell import Detector, InputError, samples
from flowtell._cores import Cores
from flowtell._judging import JudgePool
from flowtell._read_ahead import ReadAhead
from flowtell._run_control import RunControl, TimeUpError

NATURAL, SWAPPED = samples.natural_path(), samples.swapped_path()


def our_threads():
    return {thread for thread in threading.enumerate() if thread.name.startswith("flowtell")}


@pytest.fixture
def leaves_no_thread():
    gc.collect()
    before = our_threads()
    yield
    gc.collect()
    assert our_threads() <= before


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
        detector.score_clips(np.zeros((1, 5, 64, 64, 3), np.uint8))


def test_a_detector_that_is_forgotten_ends_its_threads(motion_bundle, leaves_no_thread):
    Detector.open(motion_bundle).detect(NATURAL, max_clips=1)


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


def numbers(count, log):
    try:
        for number in range(count):
            log.append(number)
            yield number
    finally:
        log.append("closed")


def test_reading_ahead_is_bounded_in_order_and_ends_with_its_block():
    log = []
    cores = Cores(1)
    with ReadAhead(numbers(1000, log), lambda _: 10, 45, cores, RunControl()) as ahead:
        with cores.held(urgent=True) as core:
            assert [ahead.get(core) for _ in range(7)] == list(range(7))
        time.sleep(0.05)
        # seven given, four that wait, one that waits for room
        assert len(log) <= 12
    assert log[-1] == "closed"


def test_reading_ahead_hands_over_the_error_after_the_last_item():
    def broken():
        yield 1
        raise ValueError("two")

    cores = Cores(1)
    with ReadAhead(broken(), lambda _: 1, 10, cores, RunControl()) as ahead, cores.held(urgent=True) as core:
        assert ahead.get(core) == 1
        with pytest.raises(ValueError, match="two"):
            ahead.get(core)


def test_waiting_for_what_never_comes_ends_with_the_time(leaves_no_thread):
    release = threading.Event()

    def stuck():
        release.wait()
        yield 1

    cores = Cores(2)
    with ReadAhead(stuck(), lambda _: 1, 10, cores, RunControl(timeout_s=0.05)) as ahead:
        with cores.held(urgent=True) as core, pytest.raises(TimeUpError):
            ahead.get(core)
        release.set()


def test_no_more_threads_compute_than_there_are_cores():
    cores, inside, most = Cores(3), [0], []
    lock = threading.Lock()

    def compute(number):
        with cores.held(urgent=number % 2 == 0) as core:
            for _ in range(20):
                with lock:
                    inside[0] += 1
                    most.append(inside[0])
                time.sleep(1e-4)
                with lock:
                    inside[0] -= 1
                with core.lent():
                    pass

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(compute, range(12)))
    assert max(most) == 3
