"""Whether two runs of the same benchmarks agree: the table of `docs/benchmarks.md`.

    python -m flowtell.benchmarks.agreement FIRST SECOND

Both are folders of results of `flowtell bench --out`, a file of the same name for each setting. What is
compared is what a scenario is judged by in the middle: the rate of offline, the median latency of the others.
"""

import argparse
import json
from pathlib import Path

__all__ = ["agreement_table", "middle_of"]


def agreement_table(first, second):
    """Return the table in Markdown: a row a setting, its figure in both runs, how far they lie apart.

    Args:
        first: dict of a name to the report that `flowtell bench` wrote.
        second: the same of the later run; a setting that it lacks is shown as not run again.

    Raises:
        ValueError: where the second has a setting that the first lacks.
    """
    if more := second.keys() - first.keys():
        raise ValueError(f"only the second run has {', '.join(sorted(more))}")
    lines = [
        "| scenario | on | first run | second run | apart | do they count? |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in first.items():
        value, unit = middle_of(one)
        start = f"| {one['load']['scenario']} | {one['provider']}, {one['precision']} | {value:.3g} {unit} |"
        other = second.get(name)
        if other is None:
            lines.append(f"{start} not run again | | |")
            continue
        again = middle_of(other)[0]
        lines.append(f"{start} {again:.3g} {unit} | {abs(again / value - 1):.1%} | {_word(one, other)} |")
    return "\n".join(lines)


def middle_of(report):
    """Return `(value, unit)` of what two runs are compared by."""
    if report["load"]["scenario"] == "offline":
        return report["pairs_per_s"], "pairs/s"
    return report["latency_ms"]["p50"], "ms"


def _word(one, other):
    """Return whether both are VALID, and if not why, each reason once and without its figures."""
    if one["valid"] and other["valid"]:
        return "both VALID"
    which = (
        "both" if not one["valid"] and not other["valid"] else "the first" if other["valid"] else "the second"
    )
    reasons = {_kind(reason): None for report in (one, other) for reason in report["reasons"]}
    return f"{which} INVALID: {'; '.join(reasons)}"


def _kind(reason):
    return reason.split(" by ")[0].rstrip(",")


def _read(folder):
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}


def _main():
    parser = argparse.ArgumentParser(
        prog="python -m flowtell.benchmarks.agreement", description=__doc__.splitlines()[0]
    )
    parser.add_argument("first", type=Path, help="folder of results of flowtell bench")
    parser.add_argument("second", type=Path, help="folder of results of the same settings, run again")
    args = parser.parse_args()
    try:
        print(agreement_table(_read(args.first), _read(args.second)))
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    _main()
