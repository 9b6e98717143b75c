"""The load generator against queues whose latencies theory knows, in virtual time."""

import itertools

import numpy as np
import pytest
from simulated_system import SimulatedSystem
from tolerances import TOLERANCES

from flowtell.benchmarks.percentiles import percentile_bound
from flowtell.benchmarks.scenarios import Load, run_round

SERVICE_S = 0.01


def constant():
    return SERVICE_S


def test_single_stream_waits_for_each_query():
    done = run_round(Load("single_stream", duration_s=1.0), SimulatedSystem(constant, servers=4), 5)
    assert len(done.queries) == 100
    assert done.latencies_ms == pytest.approx([1e3 * SERVICE_S] * 100)
    assert done.samples_per_s == pytest.approx(1 / SERVICE_S)


def test_multi_stream_is_done_with_its_last_sample():
    """8 samples on 3 servers: three turns."""
    load = Load("multi_stream", duration_s=0, min_queries=20, samples_per_query=8)
    done = run_round(load, SimulatedSystem(constant, servers=3), 5)
    assert done.latencies_ms == pytest.approx([3e3 * SERVICE_S] * 20)


def test_offline_keeps_every_server_busy():
    load = Load("offline", samples_per_query=400)
    done = run_round(load, SimulatedSystem(constant, servers=4), 5)
    assert len(done.queries) == 1
    assert done.samples_per_s == pytest.approx(4 / SERVICE_S)


@pytest.mark.parametrize("load", [0.3, 0.7, 0.9])
def test_server_waits_as_an_m_d_1_queue_does(load):
    """Mean wait of the M/D/1 queue: load / (2 (1 - load)) service times (Pollaczek and Khinchine)."""
    wanted_ms = 1e3 * SERVICE_S * (1 + load / (2 * (1 - load)))
    settings = Load("server", 0, 60_000, rate_per_s=load / SERVICE_S, latency_bound_ms=1e3)
    done = run_round(settings, SimulatedSystem(constant), 5)
    assert np.mean(done.latencies_ms) == pytest.approx(wanted_ms, rel=TOLERANCES["queue_mean"].value)
    assert done.late_ms == 0


def test_percentiles_are_those_of_the_service_times():
    """Exponential service of mean 10 ms: p90 is 10 ln 10 ms."""
    rng = np.random.default_rng(0)
    system = SimulatedSystem(lambda: rng.exponential(SERVICE_S))
    done = run_round(Load("single_stream", 0, 50_000), system, 5)
    wanted_ms = 1e3 * SERVICE_S * np.log(10)
    assert percentile_bound(done.latencies_ms, 0.9) == pytest.approx(wanted_ms, rel=0.03)


def test_latency_counts_from_when_a_query_was_due():
    """An overloaded server: each query waits for all before it, and none is left out of the record."""
    settings = Load("server", 0, 1000, rate_per_s=2 / SERVICE_S, latency_bound_ms=1e3)
    done = run_round(settings, SimulatedSystem(constant), 5)
    assert len(done.queries) == 1000
    last = done.queries[-1]
    assert last.finished_s == pytest.approx(done.queries[0].due_s + 1000 * SERVICE_S, rel=0.01)
    assert done.latencies_ms[-1] > 100 * done.latencies_ms[0]


def test_rounds_draw_other_samples_and_the_same_ones_again():
    def drawn(seed, index):
        load = Load("single_stream", 0, 50, seed=seed)
        return [q.samples for q in run_round(load, SimulatedSystem(constant), 100, index).queries]

    assert drawn(0, 0) == drawn(0, 0)
    assert len({str(drawn(*pair)) for pair in itertools.product((0, 1), (0, 1))}) == 4
    assert all(0 <= sample < 100 for (sample,) in drawn(0, 0))


def test_outputs_stay_with_their_samples():
    load = Load("multi_stream", 0, 10, samples_per_query=4)
    done = run_round(load, SimulatedSystem(constant, servers=3), 100)
    assert all(query.outputs == query.samples for query in done.queries)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"scenario": "burst"}, "there is no scenario 'burst'"),
        ({"scenario": "server"}, "needs a rate and a latency bound"),
        ({"scenario": "single_stream", "samples_per_query": 2}, "one sample"),
        ({"scenario": "single_stream", "duration_s": -1.0}, "duration of 0 s or more"),
        ({"scenario": "offline", "min_queries": 2}, "one query"),
    ],
)
def test_what_cannot_be_run_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        Load(**settings)


def test_no_sample_is_an_error():
    with pytest.raises(ValueError, match="no sample"):
        run_round(Load("single_stream"), SimulatedSystem(constant), 0)
