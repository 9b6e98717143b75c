"""Pictures of benchmark results: rates, latencies, cold starts, and the roofline they stand under."""

import base64
import html

from flowtell.benchmarks._drawing import png_of, pyplot_without_screen

__all__ = ["contest_picture", "html_page", "picture", "stages_picture"]

_VALID, _INVALID, _OTHER = "#2a6f97", "#c44536", "#8d99ae"


def contest_picture(entries):
    """Return a PNG, as bytes, of a contest: pairs a second, the fastest on top, with quartiles.

    Args:
        entries: `contest.Entry` of each contender, the first of them ours.
    """
    ran = sorted((e for e in entries if e.pairs_per_s), key=lambda e: e.pairs_per_s)
    pyplot = pyplot_without_screen()
    figure, axis = pyplot.subplots(figsize=(9, 0.8 + 0.5 * len(ran)), layout="constrained")
    for place, entry in enumerate(ran):
        slow, fast = entry.pairs_per_s_quartiles
        spread = [[entry.pairs_per_s - slow], [fast - entry.pairs_per_s]]
        colour = _VALID if entry is entries[0] else _OTHER
        hatch = None if entry.same_output else "///"
        axis.barh(
            place, entry.pairs_per_s, xerr=spread, color=colour, hatch=hatch, edgecolor="white", height=0.7
        )
    axis.set_yticks(range(len(ran)), [entry.name for entry in ran])
    axis.set_xlabel("frame pairs a second, median and quartiles (hatched: another method, other outputs)")
    return png_of(pyplot, figure)


def picture(reports):
    """Return a PNG, as bytes, of results.

    Args:
        reports: dict of a result's name to the report that `flowtell bench` wrote.
    """
    pyplot = pyplot_without_screen()
    figure, axes = pyplot.subplots(2, 2, figsize=(11, 8.5), layout="constrained")
    _draw_rates(axes[0, 0], reports)
    _draw_latencies(axes[0, 1], reports)
    _draw_roofline(axes[1, 0], reports)
    _draw_cold_start(axes[1, 1], reports)
    return png_of(pyplot, figure)


def html_page(reports, png):
    """Return a page in one file: the picture and a table of the figures, with why a result does not count."""
    rows = "".join(_row(name, report) for name, report in reports.items())
    machine = next(iter(reports.values()))["machine"]
    where = html.escape(f"{machine['cores']} cores of {machine['cpu']}, {machine['system']}")
    encoded = base64.b64encode(png).decode("ascii")
    return (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>flowtell bench</title>\n'
        "<style>body{font:16px/1.5 sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}"
        "table{border-collapse:collapse;width:100%}td,th{padding:.3rem .6rem;border-bottom:1px solid #ccc;"
        "text-align:right}td:first-child,th:first-child,td:last-child,th:last-child{text-align:left}"
        "img{width:100%}@page{size:A4 landscape}</style>\n"
        f"<h1>flowtell bench</h1><p>First result on {where}.</p>\n"
        f'<img alt="Rates, latencies, roofline and cold starts" src="data:image/png;base64,{encoded}">\n'
        "<table><tr><th>result<th>scenario<th>clips/s<th>pairs/s<th>p50, ms<th>p90 at most<th>p99 at most"
        f"<th>of the GEMM ceiling<th>counts?</tr>\n{rows}</table></html>\n"
    )


def stages_picture(figures):
    """Return a PNG, as bytes, of the share of each stage in the time of each contender.

    Args:
        figures: what `engine.summary` returns.
    """
    pyplot = pyplot_without_screen()
    shares = {name: entry["stage_share"] for name, entry in figures.items() if isinstance(entry, dict)}
    figure, axes = pyplot.subplots(figsize=(9, 1.2 + 0.7 * len(shares)), layout="constrained")
    stages = list(dict.fromkeys(stage for share in shares.values() for stage in share))
    for row, share in enumerate(shares.values()):
        left = 0.0
        for stage in stages:
            width = share.get(stage, 0.0)
            axes.barh(row, width, left=left, color=f"C{stages.index(stage)}")
            if width > 0.05:
                words = f"{stage}\n{width:.0%}"
                axes.text(left + width / 2, row, words, ha="center", va="center", fontsize=8)
            left += width
    axes.set_yticks(range(len(shares)), shares)
    handles = [pyplot.Rectangle((0, 0), 1, 1, color=f"C{number}") for number in range(len(stages))]
    axes.legend(handles, stages, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.25))
    axes.set(xlim=(0, 1), xlabel="share of the time of all stages, summed over threads")
    return png_of(pyplot, figure)


def _row(name, report):
    latency = report["latency_ms"]
    bounds = ["-" if latency[k] is None else f"{latency[k]:.0f}" for k in ("p50", "p90_bound", "p99_bound")]
    cells = [
        html.escape(name),
        report["load"]["scenario"],
        f"{report['samples_per_s']['median']:.3g}",
        f"{report['pairs_per_s']:.3g}",
        *bounds,
        f"{report['share_of_gemm_ceiling']:.0%}",
        "VALID" if report["valid"] else html.escape("INVALID: " + "; ".join(report["reasons"])),
    ]
    return "<tr>" + "".join(f"<td>{cell}" for cell in cells) + "</tr>\n"


def _colour(report):
    return _VALID if report["valid"] else _INVALID


def _draw_rates(axis, reports):
    for place, report in enumerate(reports.values()):
        rate, pairs = report["samples_per_s"], report["samples"]["pairs"]
        axis.barh(place, pairs * rate["median"], color=_colour(report), alpha=0.6, height=0.6)
        axis.plot(
            [pairs * value for value in rate["rounds"]], [place] * len(rate["rounds"]), "k|", markersize=12
        )
    axis.set_yticks(range(len(reports)), list(reports))
    axis.invert_yaxis()
    axis.set_xlabel("frame pairs a second (bar: median, ticks: rounds; red: INVALID)")
    axis.set_title("Rate")


def _draw_latencies(axis, reports):
    shown = {name: r for name, r in reports.items() if r["load"]["scenario"] != "offline"}
    for name, report in shown.items():
        values = sorted(report["latency_ms"]["all"])
        axis.step(values, [(i + 1) / len(values) for i in range(len(values))], where="post", label=name)
    if shown:
        axis.set_xscale("log")
        axis.legend(loc="lower right")
    else:
        axis.text(0.5, 0.5, "offline has no latency", ha="center", transform=axis.transAxes)
    axis.set_xlabel("latency of a query, ms")
    axis.set_ylabel("share of queries done by then")
    axis.set_title("Latency")


def _draw_roofline(axis, reports):
    ceilings = next(iter(reports.values()))["ceilings"]
    peak, bandwidth = ceilings["gemm_gflops"], ceilings["copy_gb_per_s"]
    ridge = peak / bandwidth
    intensities = [ridge / 30, ridge, ridge * 30]
    axis.loglog(intensities, [min(peak, x * bandwidth) for x in intensities], "k-", linewidth=1)
    axis.text(ridge * 30, peak * 1.1, f"best matrix product, {peak:g} GFLOP/s", ha="right")
    for name, report in reports.items():
        cost, rate = report["detector_cost"], report["samples_per_s"]["median"]
        place = cost["gflop"] / cost["gbyte"], rate * cost["gflop"]
        axis.plot(*place, "o", color=_colour(report))
        axis.annotate(name, place, xytext=(6, 0), textcoords="offset points", va="center")
    axis.set_xlabel("operations for each byte, nothing kept in a cache")
    axis.set_ylabel("GFLOP/s reached")
    axis.set_ylim(top=peak * 3)
    axis.set_title("Roofline of the detector")


def _draw_cold_start(axis, reports):
    left = [0.0] * len(reports)
    for key, word in (("import_ms", "import"), ("open_ms", "open"), ("first_clip_ms", "first clip")):
        widths = [report["cold_start"][key] for report in reports.values()]
        axis.barh(range(len(reports)), widths, left=left, label=word, height=0.6)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axis.set_yticks(range(len(reports)), list(reports))
    axis.invert_yaxis()
    axis.set_xlabel("ms from the start of a fresh process, files cached")
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    axis.set_title("Cold start", loc="left")
