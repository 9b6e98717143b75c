"""Reading ahead: in order, bounded, and ended with its block, an error or the time."""

from __future__ import annotations

import threading
import time

import pytest

from flowtell._cores import Cores
from flowtell._read_ahead import ReadAhead
from flowtell._run_control import Interrupt, RunControl, TimeUpError


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


def test_a_wait_that_ends_too_early_is_not_the_end_of_the_file():
    class Impatient(RunControl):
        waits = 0

        def remaining_s(self):
            self.waits += 1
            return 0.0 if self.waits < 3 else 30.0

        def check(self):
            pass

    def slow():
        time.sleep(0.05)
        yield 1

    cores = Cores(2)
    with ReadAhead(slow(), lambda _: 1, 10, cores, Impatient()) as ahead, cores.held(urgent=True) as core:
        assert ahead.get(core) == 1
        assert ahead.get(core) is None


def test_what_begins_to_wait_after_an_interrupt_is_ended_too():
    ended = []
    interrupt = Interrupt()
    interrupt.watch(lambda: ended.append("first"))
    interrupt.watch(None)
    interrupt.fire()
    assert ended == []
    interrupt.watch(lambda: ended.append("second"))
    assert ended == ["second"]
    interrupt.fire()
    assert ended == ["second", "second"]
