"""Which runs count: the rules of VALID and INVALID, each with the sentence that a user reads."""

from dataclasses import dataclass

from flowtell.benchmarks.percentiles import percentile_bound, queries_needed
from flowtell.benchmarks.statistics import quantile

__all__ = ["RULES", "Rules", "reasons_against"]


@dataclass(frozen=True)
class Rules:
    """The limits, as shares.

    Attributes:
        steady: a round may lie so far from the median of the rounds. Two runs whose rounds keep to it agree
            within 5 % in their medians.
        machine: the calibration kernel's medians may spread so far between their fastest and slowest.
        late: the generator may issue a query so late, as a share of the latency bound.
        rounds: fewer cannot show whether a run was steady.
    """

    steady: float = 0.05
    machine: float = 0.05
    late: float = 0.01
    rounds: int = 3


RULES = Rules()
PERCENTILES = {"single_stream": 0.90, "multi_stream": 0.99, "server": 0.99}
"""The percentile that each scenario is judged by, as loadgen has it; offline is judged by its rate."""


def reasons_against(load, rounds, calibrations_ms, wrong_outputs, rules=RULES):
    """Return why a run does not count, one sentence each; an empty list where it does.

    Args:
        load: the `Load` that was run.
        rounds: its `Round`s.
        calibrations_ms: times of the fixed kernel before, between and after the rounds.
        wrong_outputs: how many samples came out other than the reference says.
        rules: the limits.
    """
    reasons = []
    if wrong_outputs:
        reasons.append(f"{wrong_outputs} outputs were not those of the reference: their speed means nothing")
    reasons += _unsteady(load, rounds, rules)
    spread = max(calibrations_ms) / min(calibrations_ms) - 1
    if spread > rules.machine:
        reasons.append(
            f"the machine itself varied by {spread:.0%} (calibration kernel; {rules.machine:.0%} is "
            "allowed): run it again when nothing else runs"
        )
    return reasons + _short_or_slow(load, rounds, rules)


def _unsteady(load, rounds, rules):
    if load.scenario == "server":
        # arrivals are random: their rate says nothing of the system
        return []
    if len(rounds) < rules.rounds:
        return [f"{len(rounds)} rounds cannot show a steady state: {rules.rounds} are needed"]
    rates = [r.samples_per_s for r in rounds]
    middle = quantile(rates, 0.5)
    worst = max(abs(rate / middle - 1) for rate in rates)
    if worst <= rules.steady:
        return []
    falling = rates == sorted(rates, reverse=True)
    rising = rates == sorted(rates)
    kind = (
        "slowed down from round to round"
        if falling
        else "sped up from round to round"
        if rising
        else "varied"
    )
    return [f"the rounds {kind}, by {worst:.0%} from their median ({rules.steady:.0%} is allowed)"]


def _short_or_slow(load, rounds, rules):
    if load.scenario not in PERCENTILES:
        return []
    share = PERCENTILES[load.scenario]
    latencies = [latency for r in rounds for latency in r.latencies_ms]
    bound_ms = percentile_bound(latencies, share)
    if bound_ms is None:
        needed = queries_needed(share)
        return [
            f"p{100 * share:.0f} needs {needed} queries, and {len(latencies)} were run: run it for longer"
        ]
    if load.scenario != "server":
        return []
    reasons = []
    if bound_ms > load.latency_bound_ms:
        reasons.append(
            f"p99 is up to {bound_ms:.0f} ms, over the bound of {load.latency_bound_ms:.0f} ms: "
            "lower the rate"
        )
    late_ms = max(r.late_ms for r in rounds)
    if late_ms > rules.late * load.latency_bound_ms:
        reasons.append(f"the generator itself was {late_ms:.1f} ms late in issuing a query")
    return reasons
