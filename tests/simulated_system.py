"""A system in virtual time: servers that take queries in turn, each for as long as a distribution says."""

import heapq

from flowtell.benchmarks.scenarios import Completion


class SimulatedSystem:
    """First come, first served, by `servers` servers; no time passes but the clock's own.

    Outputs are the numbers of the samples.
    """

    def __init__(self, service_s, servers=1, factor=lambda now_s: 1.0):
        self._service_s = service_s
        self._factor = factor
        self._free_s = [0.0] * servers
        self._pending = []
        self._clock_s = 0.0

    def now_s(self):
        return self._clock_s

    def issue(self, query, samples):
        for position, sample in enumerate(samples):
            start_s = max(heapq.heappop(self._free_s), self._clock_s)
            end_s = start_s + self._service_s() * self._factor(start_s)
            heapq.heappush(self._free_s, end_s)
            heapq.heappush(self._pending, (end_s, query, position, sample))

    def collect(self, until_s):
        if not self._pending or (until_s is not None and self._pending[0][0] > until_s):
            assert until_s is not None, "nothing is running, and nobody would ever answer"
            self._clock_s = max(self._clock_s, until_s)
            return []
        end_s, query, position, sample = heapq.heappop(self._pending)
        self._clock_s = max(self._clock_s, end_s)
        return [Completion(query, position, end_s, sample)]
