"""Which runs count and which differences are real, on systems whose speed is planted."""

import json
import time
from dataclasses import asdict
from itertools import cycle

import numpy as np
import pytest
from simulated_system import SimulatedSystem
from tolerances import TOLERANCES

from flowtell.benchmarks import calibration
from flowtell.benchmarks.accuracy import compare_outputs, count_wrong
from flowtell.benchmarks.bench_run import time_rounds
from flowtell.benchmarks.calibration import KERNEL_SIZE, measure_ceilings
from flowtell.benchmarks.comparison import IncomparableError, compare_reports
from flowtell.benchmarks.scenarios import Load
from flowtell.benchmarks.validity import reasons_against

STEADY = Load("single_stream", duration_s=0, min_queries=20)


def timed(load=STEADY, rounds=5, slower=1.0, jitter=0.01, seed=0, calibrate=lambda: 10.0, **system):
    """Rounds of a system that takes 10 ms a sample, give or take `jitter`, times `slower`."""
    rng = np.random.default_rng(seed)
    made = SimulatedSystem(lambda: 0.01 * slower * rng.normal(1, jitter), **system)
    return time_rounds(load, made, 5, rounds, calibrate=calibrate)


def reasons(run, wrong=0):
    return reasons_against(run.load, run.rounds, run.calibrations_ms, wrong)


def report(run):
    """As much of a report as a comparison reads, through JSON as a file would go."""
    rates = [r.samples_per_s for r in run.rounds]
    latencies = [latency for r in run.rounds for latency in r.latencies_ms]
    found = reasons(run)
    plain = {
        "valid": not found,
        "reasons": found,
        "accuracy": {"passed": True},
        "load": asdict(run.load),
        "samples": {"sha256": "one"},
        "threads": 2,
        "machine": {"cpu": "simulated", "cores": 2},
        "calibration_ms": list(run.calibrations_ms),
        "samples_per_s": {"median": float(np.median(rates)), "rounds": rates},
        "latency_ms": {"p99_bound": max(latencies), "all": latencies},
    }
    return json.loads(json.dumps(plain))


def test_a_steady_run_counts():
    assert reasons(timed()) == []


def test_two_valid_runs_agree_in_their_medians():
    first, second = (report(timed(seed=seed))["samples_per_s"]["median"] for seed in (1, 2))
    assert abs(first / second - 1) < 0.05


def test_a_run_that_slows_down_does_not_count():
    (reason,) = reasons(timed(factor=lambda now_s: 1 + 0.2 * now_s))
    assert "slowed down from round to round" in reason


def test_a_machine_that_varies_does_not_count():
    (reason,) = reasons(timed(calibrate=cycle([10.0, 10.9]).__next__))
    assert "the machine itself varied by 9%" in reason
    # a third of these rounds, too, runs between two quick moments, and three are enough
    assert reasons(timed(calibrate=cycle([10.0, 10.1, 10.9]).__next__)) == []


def test_rounds_beside_a_slow_moment_are_run_again():
    """The machine is slow before the third round and for good reason so are the rounds beside it."""
    times = iter([10.0, 10.1, 14.0, 10.2, 10.0, 10.0, 10.3, 10.0])
    run = timed(calibrate=lambda: next(times))
    assert len(run.rounds) == 5
    assert len(run.set_aside) == 2
    assert run.calibrations_ms == (10.0, 10.1, 10.2, 10.0, 10.0, 10.3, 10.0)
    starts = [one.began_s for one in (*run.rounds, *run.set_aside)]
    assert sorted(starts)[1:3] == [one.began_s for one in run.set_aside]
    assert reasons(run) == []


def test_a_round_counts_by_the_kernel_and_never_by_its_own_speed():
    """The system is slow in one round while the kernel is not: that is the system's own unsteadiness."""
    run = timed(factor=lambda now_s: 1.3 if 0.4 < now_s < 0.6 else 1.0)
    assert len(run.rounds) == 5
    assert not run.set_aside
    (reason,) = reasons(run)
    assert "the rounds varied" in reason


def test_no_more_than_twice_the_rounds_are_run():
    run = timed(calibrate=cycle([10.0, 10.9]).__next__)
    assert len(run.rounds) == 10
    assert not run.set_aside


def test_a_ceiling_is_what_nothing_exceeds():
    """The kernel of the calibrations is a matrix product, too: one that took a microsecond is the best."""
    now, best = (measure_ceilings(times) for times in ((), (1e-3, 7.0)))
    assert best.gemm_size == KERNEL_SIZE
    assert best.gemm_gflops == round(2e-6 * KERNEL_SIZE**3 / 1e-3, 1) > now.gemm_gflops > 0


def test_the_ceiling_is_that_of_the_faster_library(monkeypatch):
    products = calibration._products()
    for size in calibration.GEMM_SIZES[:1]:
        a, b = calibration._matrices(size)
        for library in ("numpy", "onnxruntime"):
            off = np.abs(np.asarray(products[library, size]()) - a @ b).max()
            assert off <= TOLERANCES["matrix_product"].value, library
    slow = {("numpy", 256): lambda: time.sleep(0.02), ("onnxruntime", 512): lambda: time.sleep(0.001)}
    monkeypatch.setattr(calibration, "_products", lambda: slow)
    gflops, size = calibration.best_gemm()
    assert (size, gflops < 2e-6 * 512**3) == (512, True)


def test_too_few_queries_do_not_count():
    (reason,) = reasons(timed(Load("multi_stream", 0, 20, 8)))
    assert reason == "p99 needs 459 queries, and 100 were run: run it for longer"


def test_too_few_rounds_do_not_count():
    (reason,) = reasons(timed(Load("single_stream", 0, 60), rounds=2))
    assert "2 rounds cannot show a steady state" in reason


def test_wrong_outputs_do_not_count():
    """The system's outputs are the numbers of its samples: one reference value is planted wrong."""
    run = timed()
    right = [np.float32(sample) for sample in range(5)]
    assert count_wrong(run.rounds, right, "fp32") == 0
    wrong = count_wrong(run.rounds, [*right[:4], np.float32(4.1)], "fp32")
    assert wrong == sum(q.samples == (4,) for r in run.rounds for q in r.queries) > 0
    (reason,) = reasons(run, wrong)
    assert "were not those of the reference" in reason


def test_a_number_that_is_none_is_wrong():
    assert count_wrong(timed().rounds, [np.float32("nan")] * 5, "fp32") == 100


def test_a_server_over_its_bound_does_not_count():
    load = Load("server", 0, 500, rate_per_s=95, latency_bound_ms=20)
    (reason,) = reasons(timed(load, rounds=1))
    assert "over the bound of 20 ms: lower the rate" in reason


def test_a_server_within_its_bound_counts():
    assert reasons(timed(Load("server", 0, 500, rate_per_s=30, latency_bound_ms=100), rounds=1)) == []


def test_accuracy_sees_a_flipped_verdict_within_the_limit():
    wanted, got = [np.float32([0.0, 0.0005])], [np.float32([0.0, -0.0005])]
    found = compare_outputs(wanted, got, "fp32", 0.5, "worked out")
    assert found.largest_logit_difference < found.limit
    assert (found.verdict_flips, found.passed) == (1, False)


def test_a_planted_slow_down_of_a_tenth_is_a_regression():
    found = compare_reports(report(timed(seed=1)), report(timed(seed=2, slower=1.1)))
    assert found.is_regression
    assert found.change == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("slower", [0.9, 1.0])
def test_what_is_as_fast_or_faster_is_none(slower):
    assert not compare_reports(report(timed(seed=1)), report(timed(seed=2, slower=slower))).is_regression


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"threads": 4}, "differ in their number of threads"),
        ({"samples": {"sha256": "other"}}, "differ in their samples"),
        ({"machine": {"cpu": "other", "cores": 2}}, "differ in their processor"),
        ({"accuracy": {"passed": False}}, "gave wrong outputs"),
        ({"valid": False, "reasons": ["it was too short"]}, "INVALID: it was too short"),
        ({"calibration_ms": [11.0]}, "the machine itself was 10% slower"),
    ],
)
def test_what_was_not_run_on_equal_terms_is_not_compared(parts, words):
    before = report(timed())
    with pytest.raises(IncomparableError, match=words):
        compare_reports(before, before | parts)


def test_offline_runs_are_compared_however_many_samples_they_found_to_last():
    loads = (Load("offline", samples_per_query=count) for count in (200, 230))
    assert not compare_reports(*(report(timed(load)) for load in loads)).is_regression


def test_runs_of_a_server_say_what_must_be_given_to_both():
    before = report(timed(Load("server", 0, 500, rate_per_s=30, latency_bound_ms=100), rounds=1))
    assert not compare_reports(before, before).is_regression
    for change in ({"rate_per_s": 31}, {"latency_bound_ms": 99}):
        with pytest.raises(IncomparableError, match="give both runs the same --rate and --latency-bound-ms"):
            compare_reports(before, before | {"load": before["load"] | change})
    with pytest.raises(IncomparableError, match="differ in their scenario and load") as refused:
        compare_reports(before, before | {"load": before["load"] | {"seed": 1}})
    assert "--rate" not in str(refused.value)


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_no_logit_lies_on_the_other_side_of_a_threshold_at_the_end(threshold):
    """0: all are fake; 1: none is. Bundles may have either."""
    wanted, got = [np.float32([3.0, 3.0])], [np.float32([3.001, 3.001])]
    found = compare_outputs(wanted, got, "fp32", threshold, "itself")
    assert (found.verdict_flips, found.passed) == (0, True)
