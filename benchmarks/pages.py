"""Pictures and pages of benchmark results."""

import base64
import html

from flowtell.benchmarks._drawing import png_of, pyplot_without_screen
from flowtell.benchmarks._panels import OTHER, PANELS, VALID, best_ceiling

__all__ = ["contest_picture", "html_page", "picture", "stages_picture"]


def contest_picture(entries):
    """Return a PNG, as bytes, of a contest: pairs a second, the fastest on top, with quartiles.

    Args:
        entries: `contest.Entry` of each contender.
    """
    ran = sorted((e for e in entries if e.pairs_per_s), key=lambda e: e.pairs_per_s)
    pyplot = pyplot_without_screen()
    figure, axis = pyplot.subplots(figsize=(9, 0.8 + 0.5 * len(ran)), layout="constrained")
    for place, entry in enumerate(ran):
        slow, fast = entry.pairs_per_s_quartiles
        spread = [[entry.pairs_per_s - slow], [fast - entry.pairs_per_s]]
        colour = VALID if entry.ours else OTHER
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
    rows = -(-len(PANELS) // 2)
    # A4 upright: where there are more results, bars become thinner, not the page longer
    figure, axes = pyplot.subplots(rows, 2, figsize=(11.7, 16), layout="constrained")
    for axis, draw in zip(axes.flat, PANELS, strict=True):
        draw(axis, _numbered(reports))
    return png_of(pyplot, figure)


def html_page(reports, png):
    """Return a page in one file: the picture and a table of the figures, with why a result does not count."""
    rows = "".join(
        _row(name, report, best_ceiling(report, reports.values()))
        for name, report in _numbered(reports).items()
    )
    machine = next(iter(reports.values()))["machine"]
    where = html.escape(f"{machine['cores']} cores of {machine['cpu']}, {machine['system']}")
    encoded = base64.b64encode(png).decode("ascii")
    return (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>flowtell bench</title>\n'
        "<style>body{font:16px/1.5 sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}"
        "table{border-collapse:collapse;width:100%}td,th{padding:.3rem .6rem;border-bottom:1px solid #ccc;"
        "text-align:right}td:first-child,th:first-child,td:last-child,th:last-child{text-align:left}"
        "th:last-child{width:40%}tr{break-inside:avoid}img{width:100%}@page{size:A4 portrait;margin:1.2cm}"
        # on paper: heading and picture on the first page, the table on the next
        "@media print{body{margin:0;padding:0;max-width:none;font-size:9pt}h1{margin:0}"
        "img{max-height:24.5cm;object-fit:contain}table{break-before:page}}</style>\n"
        f"<h1>flowtell bench</h1><p>First result on {where}.</p>\n"
        '<img alt="Rates, latencies, agreement, roofline, stages, cold starts and memory" '
        f'src="data:image/png;base64,{encoded}">\n'
        "<table><tr><th>result<th>scenario<th>clips/s<th>pairs/s<th>p50, ms<th>p90 at most<th>p99 at most"
        f"<th>of the GEMM ceiling<th>counts?</tr>\n{rows}</table></html>\n"
    )


def stages_picture(figures):
    """Return a PNG, as bytes, of the share of each stage in the time of each contender.

    Args:
        figures: what `engine_summary.summary` returns.
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


def _numbered(reports):
    """Return the reports under names that begin with a number, their mark where names do not fit."""
    return {f"{number} {name}": report for number, (name, report) in enumerate(reports.items(), 1)}


def _row(name, report, ceiling_gflops):
    latency = report["latency_ms"]
    bounds = ["-" if latency[k] is None else f"{latency[k]:.0f}" for k in ("p50", "p90_bound", "p99_bound")]
    cells = [
        html.escape(name),
        report["load"]["scenario"],
        f"{report['samples_per_s']['median']:.3g}",
        f"{report['pairs_per_s']:.3g}",
        *bounds,
        f"{report['samples_per_s']['median'] * report['detector_cost']['gflop'] / ceiling_gflops:.0%}",
        "VALID" if report["valid"] else html.escape("INVALID: " + "; ".join(report["reasons"])),
    ]
    return "<tr>" + "".join(f"<td>{cell}" for cell in cells) + "</tr>\n"
