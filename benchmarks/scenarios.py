"""The four ways of loading a detector, as MLPerf Inference's loadgen defines them, and one round of each.

- single_stream: one sample a query, the next query when the one before is done; judged by its p90 latency.
- multi_stream: several samples a query, the next when all of them are done; judged by its p99 latency.
- server: one sample a query, arriving as a Poisson process; judged by the p99 latency at a given rate.
- offline: every sample at once; judged by samples a second.

A sample is one face clip. The generator knows nothing of detectors: it loads a *system*, an object with

- `now_s()`: the system's clock, in seconds;
- `issue(query, samples)`: begin a query on the samples of these indices; returns at once;
- `collect(until_s)`: wait until something is done or the clock has reached `until_s` (None: as long as it
  takes); returns a list of `Completion`, empty where the time was up first.
"""

import math
from dataclasses import dataclass

import numpy as np

__all__ = ["SCENARIOS", "Completion", "Load", "Query", "Round", "run_round"]

SCENARIOS = ("single_stream", "multi_stream", "server", "offline")


@dataclass(frozen=True)
class Load:
    """What to do to a system.

    Attributes:
        scenario: one of `SCENARIOS`.
        duration_s: a round begins no query after so long, but see `min_queries`.
        min_queries: a round goes on until so many queries were issued, however long that takes.
        samples_per_query: of multi_stream; 1 elsewhere, and in offline what a round issues at once.
        rate_per_s: of server: mean arrivals a second.
        latency_bound_ms: of server: the p99 latency that still counts as served.
        seed: of the choice of samples and of the arrivals.
    """

    scenario: str
    duration_s: float = 10.0
    min_queries: int = 1
    samples_per_query: int = 1
    rate_per_s: float | None = None
    latency_bound_ms: float | None = None
    seed: int = 0

    def __post_init__(self):
        """Refuse what cannot be run.

        Raises:
            ValueError: for an unknown scenario, a number out of range, or a server without rate and bound.
        """
        if self.scenario not in SCENARIOS:
            raise ValueError(f"there is no scenario '{self.scenario}': choose one of {', '.join(SCENARIOS)}")
        if not 0 <= self.duration_s < math.inf or self.min_queries < 1 or self.samples_per_query < 1:
            raise ValueError("a load needs a duration of 0 s or more, and at least one query and sample")
        if self.scenario in ("single_stream", "server") and self.samples_per_query != 1:
            raise ValueError(f"a query of {self.scenario} has one sample")
        if self.scenario == "offline" and self.min_queries != 1:
            raise ValueError("a round of offline is one query: set the samples instead")
        served = [self.rate_per_s, self.latency_bound_ms]
        if self.scenario == "server" and not all(value and 0 < value < math.inf for value in served):
            raise ValueError("server needs a rate and a latency bound above 0")


@dataclass(frozen=True)
class Completion:
    """One sample of a query is done: which, when by the system's clock, and what came out."""

    query: int
    position: int
    finished_s: float
    output: object


@dataclass(frozen=True)
class Query:
    """One query: its samples, when it was due and done (system's clock), and its outputs in order."""

    samples: tuple
    due_s: float
    finished_s: float
    outputs: tuple

    @property
    def latency_ms(self):
        """From when the query was due, not from when the generator got round to it, to its last output."""
        return 1e3 * (self.finished_s - self.due_s)


@dataclass(frozen=True)
class Round:
    """One round of a load.

    Attributes:
        queries: in the order in which they were due.
        began_s: system's clock at the start.
        ended_s: system's clock when the last output came.
        late_ms: how late the generator itself was at worst in issuing a query (server alone; else 0).
    """

    queries: tuple
    began_s: float
    ended_s: float
    late_ms: float

    @property
    def samples_per_s(self):
        """Samples done a second, over the whole round."""
        return sum(len(q.samples) for q in self.queries) / (self.ended_s - self.began_s)

    @property
    def latencies_ms(self):
        """Latency of each query, in the order in which they were due."""
        return [q.latency_ms for q in self.queries]


def run_round(load, system, sample_count, round_index=0):
    """Load `system` for one round and return the `Round`.

    Args:
        load: a `Load`.
        system: see the module's text.
        sample_count: samples are numbered from 0 to below this.
        round_index: part of the seed: rounds draw different samples and arrivals.

    Raises:
        ValueError: where there is no sample.
        Exception: whatever `collect` raises.
    """
    if sample_count < 1:
        raise ValueError("there is no sample to load the system with")
    rng = np.random.default_rng([load.seed, round_index])
    book = _Book(system)
    began_s = system.now_s()
    if load.scenario == "server":
        late_s = _issue_poisson(load, book, rng, sample_count, began_s)
    else:
        late_s = 0.0
        while True:
            book.issue(_draw(rng, sample_count, load.samples_per_query), system.now_s())
            book.drain()
            enough = len(book.due) >= load.min_queries
            if load.scenario == "offline" or (enough and system.now_s() - began_s >= load.duration_s):
                break
    queries = book.queries()
    return Round(queries, began_s, max(q.finished_s for q in queries), 1e3 * late_s)


def _draw(rng, sample_count, size):
    return tuple(int(index) for index in rng.integers(sample_count, size=size))


def _issue_poisson(load, book, rng, sample_count, began_s):
    """Issue queries when they are due, whatever is still open; return how late the worst one was issued."""
    due_s, late_s = began_s, 0.0
    while len(book.due) < load.min_queries or due_s - began_s < load.duration_s:
        # the gaps of a Poisson process are exponential, with the mean 1 / rate
        due_s += rng.exponential(1 / load.rate_per_s)
        while book.system.now_s() < due_s:
            book.collect(due_s)
        late_s = max(late_s, book.system.now_s() - due_s)
        book.issue(_draw(rng, sample_count, 1), due_s)
    book.drain()
    return late_s


class _Book:
    """Which queries were issued, and what has come back."""

    def __init__(self, system):
        self.system = system
        self.due = []
        self._samples = []
        self._done = {}
        self._open = 0

    def issue(self, samples, due_s):
        self.due.append(due_s)
        self._samples.append(samples)
        self._open += len(samples)
        self.system.issue(len(self.due) - 1, samples)

    def collect(self, until_s):
        for completion in self.system.collect(until_s):
            self._done[completion.query, completion.position] = completion
            self._open -= 1

    def drain(self):
        while self._open:
            self.collect(None)

    def queries(self):
        made = []
        for query, (due_s, samples) in enumerate(zip(self.due, self._samples, strict=True)):
            done = [self._done[query, position] for position in range(len(samples))]
            finished_s = max(completion.finished_s for completion in done)
            made.append(Query(samples, due_s, finished_s, tuple(c.output for c in done)))
        return tuple(made)
