"""The panels of a benchmark's page, each a function that draws results onto one axis.

All take a matplotlib axis and a dict of a result's name, its number first, to the report that `flowtell
bench` wrote. Where a point has no room for a name it bears the number.
"""

from flowtell.benchmarks.machine import processor_of

__all__ = ["INVALID", "OTHER", "PANELS", "VALID", "best_ceiling"]

VALID = "#2a6f97"
INVALID = "#c44536"
OTHER = "#8d99ae"


_SMALL = 7
"""Font size of what must fit beside a dozen others."""


def best_ceiling(report, reports, key="gemm_gflops"):
    """Return the highest of a ceiling that any of the reports measured on the machine of `report`."""
    same = [r for r in reports if processor_of(r["machine"]) == processor_of(report["machine"])]
    return max(r["ceilings"][key] for r in same)


def _colour(report):
    return VALID if report["valid"] else INVALID


def _number(name):
    return name.split(" ", 1)[0]


def _name_rows(axis, reports):
    axis.set_yticks(range(len(reports)), list(reports), fontsize=_SMALL)
    axis.invert_yaxis()


def _mark(axis, place, name, report, aside_pt=5):
    axis.plot(*place, "o", color=_colour(report))
    axis.annotate(_number(name), place, xytext=(aside_pt, 3), textcoords="offset points", fontsize=_SMALL)


def _draw_rates(axis, reports):
    for place, report in enumerate(reports.values()):
        rate, pairs = report["samples_per_s"], report["samples"]["pairs"]
        axis.barh(place, pairs * rate["median"], color=_colour(report), alpha=0.6, height=0.6)
        rounds = [pairs * value for value in rate["rounds"]]
        axis.plot(rounds, [place] * len(rounds), "k|", markersize=8)
    _name_rows(axis, reports)
    axis.set_xlabel("frame pairs a second (bar: median, ticks: rounds; red: INVALID)")
    axis.set_title("Rate")


def _with_latency(reports):
    return {name: r for name, r in reports.items() if r["load"]["scenario"] != "offline"}


def _draw_latencies(axis, reports):
    shown = _with_latency(reports)
    for name, report in shown.items():
        values = sorted(report["latency_ms"]["all"])
        axis.step(values, [(i + 1) / len(values) for i in range(len(values))], where="post", label=name)
    if shown:
        axis.set_xscale("log", subs=[2, 5])
        axis.xaxis.set_major_formatter("{x:.0f}")
        axis.xaxis.set_minor_formatter("{x:.0f}")
        axis.legend(loc="lower right", fontsize=_SMALL)
    else:
        _say(axis, "offline has no latency")
    axis.set_xlabel("latency of a query, ms")
    axis.set_ylabel("share of queries done by then")
    axis.set_title("Latency")


def _draw_rate_against_latency(axis, reports):
    shown = _with_latency(reports)
    for name, report in shown.items():
        _mark(axis, (report["latency_ms"]["p50"], report["pairs_per_s"]), name, report)
    if not shown:
        _say(axis, "offline has no latency")
    axis.set_xlabel("median latency of a query, ms")
    axis.set_ylabel("frame pairs a second")
    axis.set_title("Rate against latency")


def _draw_agreement(axis, reports):
    """Draw what a faster setting costs in quality; an outputs' difference of 0 stands at the lowest power."""
    differences = {name: r["accuracy"]["largest_logit_difference"] for name, r in reports.items()}
    floor = min((value for value in differences.values() if value), default=1e-6) / 10
    for name, report in reports.items():
        place = report["pairs_per_s"], differences[name] or floor
        _mark(axis, place, name, report)
        if flips := report["accuracy"]["verdict_flips"]:
            words = f"{flips} flipped"
            axis.annotate(words, place, xytext=(5, -9), textcoords="offset points", color=INVALID)
    axis.set_yscale("log")
    axis.set_xlabel("frame pairs a second")
    axis.set_ylabel("largest difference of a logit")
    axis.set_title("Rate against agreement with the reference")


def _draw_roofline(axis, reports):
    first = next(iter(reports.values()))
    peak, bandwidth = (best_ceiling(first, reports.values(), key) for key in ("gemm_gflops", "copy_gb_per_s"))
    ridge = peak / bandwidth
    intensities = [ridge / 30, ridge, ridge * 30]
    axis.loglog(intensities, [min(peak, x * bandwidth) for x in intensities], "k-", linewidth=1)
    axis.text(ridge / 30, peak * 1.1, f"best matrix product, {peak:g} GFLOP/s", ha="left")
    for place, (name, report) in enumerate(reports.items()):
        cost, rate = report["detector_cost"], report["samples_per_s"]["median"]
        # they stand one above the other where only the rate differs: numbers step aside
        at = cost["gflop"] / cost["gbyte"], rate * cost["gflop"]
        _mark(axis, at, name, report, aside_pt=5 + 11 * (place % 4))
    axis.set_xlabel("operations for each byte, nothing kept in a cache")
    axis.set_ylabel("GFLOP/s reached")
    axis.set_ylim(top=peak * 3)
    axis.set_title("Roofline of the detector")


def _draw_stages(axis, reports):
    measured = [report.get("stages_ms_per_pair", {}) for report in reports.values()]
    stages = list(dict.fromkeys(stage for each in measured for stage in each))
    _stack(axis, reports, [(stage, [each.get(stage, 0) for each in measured]) for stage in stages])
    if not stages:
        _say(axis, "these results are of a version that did not measure stages")
    axis.set_xlabel("ms of work for a frame pair, all threads together")
    axis.set_title("Stages", loc="left")


def _draw_cold_start(axis, reports):
    words = {"import_ms": "import", "open_ms": "open", "first_clip_ms": "first clip"}
    cold = [report["cold_start"] for report in reports.values()]
    _stack(axis, reports, [(word, [each[key] for each in cold]) for key, word in words.items()])
    axis.set_xlabel("ms from the start of a fresh process, files cached")
    axis.set_title("Cold start", loc="left")


def _draw_memory(axis, reports):
    peaks = [report["cold_start"]["peak_memory_mb"] for report in reports.values()]
    axis.barh(range(len(reports)), peaks, color=OTHER, height=0.6)
    _name_rows(axis, reports)
    axis.set_xlabel("MB resident at most, of a fresh process, one clip judged")
    axis.set_title("Memory")


def _stack(axis, reports, parts):
    """Draw bars of several parts, `(word, width of each result)` each, with a legend above."""
    left = [0.0] * len(reports)
    for word, widths in parts:
        axis.barh(range(len(reports)), widths, left=left, label=word, height=0.6)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    _name_rows(axis, reports)
    if parts:
        axis.legend(
            loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=len(parts), frameon=False, fontsize=_SMALL
        )


def _say(axis, words):
    axis.text(0.5, 0.5, words, ha="center", transform=axis.transAxes)


PANELS = (
    _draw_rates,
    _draw_latencies,
    _draw_rate_against_latency,
    _draw_agreement,
    _draw_roofline,
    _draw_stages,
    _draw_cold_start,
    _draw_memory,
)
"""In the order in which they stand on the page, two a row."""
