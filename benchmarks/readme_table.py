"""Writes the README's table of speed, memory, quality and size from results that are stored beside the code.

    python -m flowtell.benchmarks.readme_table          # write it
    python -m flowtell.benchmarks.readme_table --check  # exit code 1 where the README says something else

It takes `contenders.json` (of `flowtell bench contenders`) and every `offline-*.json` (of `flowtell bench`)
in `benchmarks/results/default/`, all of the default bundle's fp32 graph, or derived from it, on one machine.
"""

import argparse
import json
import re
import sys
from pathlib import Path

from flowtell.benchmarks.contest import Entry
from flowtell.benchmarks.machine import processor_of
from flowtell.training.run_folder import whole_file

__all__ = ["table_of", "with_table"]

BEGIN, END = "<!-- speed table: begin -->", "<!-- speed table: end -->"
_ROOT = Path(__file__).parents[1]
RESULTS = _ROOT / "benchmarks" / "results" / "default"
CARD = _ROOT / "engine" / "flowtell" / "bundles" / "default" / "MODEL_CARD.md"

_AUC = re.compile(r"^\| AUC \| (.+?) \|$", re.MULTILINE)


def table_of(contest, reports, card):
    """Return the lines of the table and of what stands below it.

    Args:
        contest: what `flowtell bench contenders` wrote, as a dict.
        reports: what `flowtell bench --scenario offline` wrote for each provider and precision.
        card: text of the bundle's card.

    The speed of a result that is not valid is not shown, but why it is not.

    Raises:
        ValueError: where the results are not of one bundle and machine, or the card states no AUC.
    """
    stated = _AUC.search(card)
    if stated is None:
        raise ValueError("the card states no AUC")
    _require_alike([contest, *reports])
    machine = contest["machine"]
    entries = [Entry(**entry) for entry in contest["contenders"]]
    ours = entries[0]
    lines = [
        "| | pairs/s, median (quartiles) | times ours | largest difference of a logit | quality: AUC over "
        "files, by identity |",
        "|---|---|---|---|---|",
    ]
    ran = [entry for entry in entries if entry.pairs_per_s is not None]
    for entry in sorted(ran, key=lambda entry: -entry.pairs_per_s):
        slow, fast = entry.pairs_per_s_quartiles
        name = f"**{entry.name}**" if entry.ours else entry.name
        same = entry.same_output
        lines.append(
            f"| {name} | {entry.pairs_per_s:.1f} ({slow:.1f} to {fast:.1f}) | "
            f"{entry.pairs_per_s / ours.pairs_per_s:.2f} | "
            f"{format(entry.largest_difference, '.0e') if same else 'another method'} | "
            f"{stated[1] if entry is ours else 'the same' if same else 'not measured'} |"
        )
    lines += [
        "",
        "| flowtell on | pairs/s, median (rounds) | of the best float32 matrix product | "
        "peak memory, one clip | largest difference from Keras | verdicts flipped | `detector.onnx` |",
        "|---|---|---|---|---|---|---|",
    ]
    for report in sorted(reports, key=lambda report: -report["pairs_per_s"]):
        lines.append(
            f"| {report['provider']}, {report['precision']} | {_speed(report)} | "
            f"{report['cold_start']['peak_memory_mb']:.0f} MB | "
            f"{report['accuracy']['largest_logit_difference']:.0e} | {report['accuracy']['verdict_flips']} | "
            f"{report['bundle']['detector_bytes'] / 1e6:.0f} MB |"
        )
    features = ", ".join(machine["cpu_features"])
    return [
        *lines,
        "",
        f"{machine['cores']} cores of an {machine['cpu']} ({features}), {contest['runs']} interleaved runs "
        f"of {contest['clips'] * contest['pairs_per_clip']} pairs each, outputs compared first; the best "
        f"float32 matrix product of that run reached {contest['best_gemm_gflops']:.0f} GFLOP/s. "
        "The second table is of another hour: compare rates within a table only. "
        "`make bench` measures again, PyTorch where it is installed, and writes this anew. "
        "What MesoNet and DIS flow are worth, each judged in its own way, is in "
        "[the study](docs/model-study.md). "
        "No GPU was measured.",
    ]


def _speed(report):
    """Return the cells of pairs a second and of the share of the best matrix product."""
    if not report["valid"]:
        return f"INVALID: {'; '.join(report['reasons'])} | not stated"
    rounds = [report["samples"]["pairs"] * rate for rate in report["samples_per_s"]["rounds"]]
    return (
        f"{report['pairs_per_s']:.1f} ({min(rounds):.1f} to {max(rounds):.1f}) | "
        f"{report['share_of_gemm_ceiling']:.0%}"
    )


def with_table(readme, lines):
    """Return the README's text with these lines between its two marks.

    Raises:
        ValueError: where the marks are not there, once each.
    """
    if readme.count(BEGIN) != 1 or readme.count(END) != 1:
        raise ValueError(f"the README lacks its marks {BEGIN} and {END}")
    before, rest = readme.split(BEGIN)
    return "\n".join([before + BEGIN, *lines, END + rest.split(END)[1]])


def _require_alike(results):
    for name, of in (
        ("detector in fp32", lambda r: r["bundle"]["detector_sha256"]),
        ("processor", lambda r: processor_of(r["machine"])),
    ):
        if len({of(result) for result in results}) != 1:
            raise ValueError(f"the results are not of one {name}: run all of them again")


def _main():
    parser = argparse.ArgumentParser(
        prog="python -m flowtell.benchmarks.readme_table", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 where it is stale")
    args = parser.parse_args()
    contest = json.loads((RESULTS / "contenders.json").read_text("utf-8"))
    reports = [json.loads(path.read_text("utf-8")) for path in sorted(RESULTS.glob("offline-*.json"))]
    readme = _ROOT / "README.md"
    text = readme.read_text("utf-8")
    wanted = with_table(text, table_of(contest, reports, CARD.read_text("utf-8")))
    if wanted == text:
        return 0
    if args.check:
        print("README.md's table is stale: run python -m flowtell.benchmarks.readme_table", file=sys.stderr)
        return 1
    with whole_file(readme) as scratch:
        scratch.write_text(wanted, "utf-8")
    print("wrote README.md")
    return 0


if __name__ == "__main__":
    sys.exit(_main())
