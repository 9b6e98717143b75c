"""Prints what `flowtell.benchmarks.engine` measured as a table in Markdown.

    python -m flowtell.benchmarks.engine_table benchmarks/results/engine-zen4-2-cores.json

The share of the best float32 matrix product is of the files that every contender judged whole.
"""

import argparse
import json
from pathlib import Path

from flowtell.benchmarks.engine_summary import CLIPS, ORIGINAL, OURS

__all__ = ["table_of"]


def table_of(summary):
    """Return the lines of the table, the slowest contender first, and of what anytime judging saved.

    Args:
        summary: the entry `summary` of a result of `flowtell.benchmarks.engine`.
    """
    rows = {name: entry for name, entry in summary.items() if isinstance(entry, dict)}
    wholes = max((row["whole"]["files"] for row in rows.values() if row.get("whole")), default=0)
    in_rows = "" if summary["rows"] == summary["files"] else f", in {summary['rows']} rows"
    lines = [
        f"| | pairs/s, {CLIPS} clips of each of {summary['files']} files{in_rows} | times the original "
        "| detector's share of the time "
        f"| pairs/s, every pair of {wholes} files | times the original | detector's share of the time "
        f"| of the best float32 matrix product | verdicts that are not those of `{OURS}` |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in sorted(rows.items(), key=lambda item: item[1]["pairs_per_s"]["median"]):
        whole = row.get("whole") or {}
        cells = [
            *_rates(row),
            _share(row, "wall"),
            *_rates(whole),
            _share(whole, "wall"),
            _share(whole, "gemm"),
            _verdicts(row, name),
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    at_work = [
        f"{name} {row['detector_at_work']:.0%}" for name, row in rows.items() if "detector_at_work" in row
    ]
    if at_work:
        lines += [
            "",
            f"A clip was being judged for so much of the time of {CLIPS} clips: {', '.join(at_work)}.",
        ]
    alone = [
        f"{name} {_spread(row['alone']['pairs_per_s'])}" for name, row in rows.items() if row.get("alone")
    ]
    if alone:
        count = max(row["alone"]["files"] for row in rows.values() if row.get("alone"))
        lines += ["", f"{CLIPS} clips of a file by itself ({count} files), pairs/s: {', '.join(alone)}."]
    for name, row in rows.items():
        if "anytime" in row:
            lines += ["", _anytime(name, row["anytime"])]
    return lines


def _rates(row):
    if not row:
        return "", ""
    times = f"{row['times_the_original']['median']:.1f}" if "times_the_original" in row else ""
    return _spread(row["pairs_per_s"]), times


def _verdicts(row, name):
    return "" if name in (OURS, ORIGINAL) else f"{row['other_verdicts']} of {row['files']}"


def _share(row, of):
    key = f"detector_share_of_{of}"
    return f"{row[key]:.0%}" if key in row else ""


def _anytime(name, found):
    saved = f"{_spread(found['times_faster'])} times as fast"
    flips = sum(found["flips"].values())
    beside = ""
    if "times_the_original" in found:
        files = found["original_files"]
        times = _spread(found["times_the_original"])
        beside = f", {times} times as fast as the original on every pair ({files} files)"
    return (
        f"Anytime beside every pair ({name}, {found['files']} files): {saved}{beside}; "
        f"{found['pairs_share']:.0%} of the pairs looked at, {flips} verdict{'s' * (flips != 1)} changed."
    )


def _spread(found):
    low, high = found["quartiles"]
    return f"{found['median']:.1f} ({low:.1f} to {high:.1f})"


def _main():
    parser = argparse.ArgumentParser(
        prog="python -m flowtell.benchmarks.engine_table", description=__doc__.splitlines()[0]
    )
    parser.add_argument("result", type=Path, help="what flowtell.benchmarks.engine wrote")
    summary = json.loads(parser.parse_args().result.read_text(encoding="utf-8"))["summary"]
    print("\n".join(table_of(summary)))


if __name__ == "__main__":
    _main()
