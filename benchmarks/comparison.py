"""Compares two reports of `flowtell bench`: what got slower beyond the noise of the runs themselves."""

from dataclasses import dataclass

from flowtell.benchmarks.machine import processor_of
from flowtell.benchmarks.statistics import quantile

__all__ = ["Comparison", "IncomparableError", "compare_reports"]

_LEAST_LIMIT = 0.02
"""A change that small is not told from noise by runs of some minutes, however alike their rounds are."""

_MACHINE_LIMIT = 0.05
"""As much as a valid run allows the machine to vary: two that differ by more were not run on equal terms."""


class IncomparableError(ValueError):
    """Two reports that say nothing about each other; the message says why."""


@dataclass(frozen=True)
class Comparison:
    """How the second report stands to the first.

    Attributes:
        figure: what was compared, in words.
        change: by how much the second is slower, as a share; negative where it is faster.
        limit: a change up to here is the runs' own noise.
    """

    figure: str
    change: float
    limit: float

    @property
    def is_regression(self):
        """Whether the second is slower beyond noise."""
        return self.change > self.limit


def compare_reports(before, after):
    """Return the `Comparison` of two reports, as `json.load` gives them.

    Raises:
        IncomparableError: where one is not valid, or they were not run on equal terms.
    """
    for name, report in (("first", before), ("second", after)):
        if not report["accuracy"]["passed"]:
            raise IncomparableError(f"the {name} run gave wrong outputs: its speed means nothing")
        if not report["valid"]:
            raise IncomparableError(f"the {name} run is INVALID: {'; '.join(report['reasons'])}")
    _require_equal_terms(before, after)
    machine = quantile(after["calibration_ms"], 0.5) / quantile(before["calibration_ms"], 0.5) - 1
    if abs(machine) > _MACHINE_LIMIT:
        raise IncomparableError(
            f"the machine itself was {abs(machine):.0%} {'slower' if machine > 0 else 'faster'} in the "
            "second run (calibration kernel): run both again"
        )
    if before["load"]["scenario"] == "server":
        change = after["latency_ms"]["p99_bound"] / before["latency_ms"]["p99_bound"] - 1
        # the bound is an order statistic: what lies between it and the median of the tail is its noise
        return Comparison("p99 latency", change, max(_LEAST_LIMIT, _tail_noise(before), _tail_noise(after)))
    rates = [report["samples_per_s"] for report in (before, after)]
    change = rates[0]["median"] / rates[1]["median"] - 1
    return Comparison("time per sample", change, max(_LEAST_LIMIT, *(_round_noise(rate) for rate in rates)))


def _require_equal_terms(before, after):
    terms = {
        "scenario and load": _load_terms,
        "samples": lambda r: r["samples"],
        "number of threads": lambda r: r["threads"],
        "processor": lambda r: processor_of(r["machine"]),
    }
    for name, of in terms.items():
        if of(before) != of(after):
            remedy = _remedy(before["load"], after["load"]) if of is _load_terms else ""
            raise IncomparableError(
                f"the two runs differ in their {name}: {of(before)} and {of(after)}{remedy}"
            )


def _load_terms(report):
    """Return what two loads must share: all but what follows from the speed itself."""
    free = {"duration_s", "min_queries"}
    if report["load"]["scenario"] == "offline":
        # as many at once as last for the duration; times of one sample are compared
        free.add("samples_per_query")
    return {name: value for name, value in report["load"].items() if name not in free}


def _remedy(before, after):
    """Return what to do about loads whose terms were measured, each anew in its run."""
    measured = ("rate_per_s", "latency_bound_ms")
    served = before["scenario"] == after["scenario"] == "server"
    if not served or all(before[name] == after[name] for name in measured):
        return ""
    return "; give both runs the same --rate and --latency-bound-ms"


def _round_noise(rate):
    """How far the worst round lies from the median, as a share."""
    return max(abs(value / rate["median"] - 1) for value in rate["rounds"])


def _tail_noise(report):
    """How far the p99 bound lies above the sample's own p99, as a share."""
    values = sorted(report["latency_ms"]["all"])
    return report["latency_ms"]["p99_bound"] / values[int(0.99 * (len(values) - 1))] - 1
