"""Sharing the cores: never more threads compute than there are, and none is lost or made."""

from __future__ import annotations

import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor

import pytest

from flowtell._cores import Cores
from flowtell._run_control import RunControl, TimeUpError


def test_a_core_that_is_given_twice_is_one_core():
    cores = Cores(1)
    with cores.held(urgent=True) as core:
        core.give()
        core.give()
        with cores.held(urgent=False), ThreadPoolExecutor(1) as other:
            waiting = other.submit(lambda: cores.held(urgent=True).__enter__())
            with pytest.raises(TimeoutError):
                waiting.result(0.05)
            cores.end()
            waiting.result()


def test_an_interrupt_loses_no_core(monkeypatch):
    cores, take = Cores(1), Cores._take

    def interrupted(self, *args):
        take(self, *args)
        raise KeyboardInterrupt

    monkeypatch.setattr(Cores, "_take", interrupted)
    with pytest.raises(KeyboardInterrupt), cores.held(urgent=True):
        pass
    monkeypatch.undo()
    with ThreadPoolExecutor(1) as other:
        other.submit(lambda: cores.held(urgent=True).__enter__()).result(30)


def test_waiting_for_a_core_ends_with_the_run():
    cores = Cores(1)

    def wait(control):
        with cores.held(urgent=True, control=control):
            pass

    def lend(control):
        own = Cores(1)
        another = own.held(urgent=True)
        with own.held(urgent=True, control=control) as core, core.lent():
            # taken meanwhile, and kept
            another.__enter__()

    with cores.held(urgent=True), ThreadPoolExecutor(3) as others:
        with pytest.raises(TimeUpError):
            others.submit(wait, RunControl(timeout_s=0.05)).result(30)
        cancelled = RunControl()
        waiting = others.submit(wait, cancelled)
        with pytest.raises(TimeoutError):
            waiting.result(0.05)
        cancelled.cancel()
        with pytest.raises(CancelledError):
            waiting.result(30)
        with pytest.raises(TimeUpError):
            others.submit(lend, RunControl(timeout_s=0.05)).result(30)
    # nobody keeps what was waited for in vain
    wait(RunControl(timeout_s=30))


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
