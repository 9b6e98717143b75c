"""Two runs side by side, and docs/benchmarks.md as the stored ones have it."""

import json
import re
from pathlib import Path

import pytest

from flowtell.benchmarks.agreement import agreement_table
from flowtell.benchmarks.scenarios import SCENARIOS

ROOT = Path(__file__).resolve().parents[2]
STORED = ROOT / "benchmarks" / "results" / "scenarios"


def stored(run):
    paths = sorted((STORED / run).glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths}


def report(scenario, valid=True, reasons=(), **figures):
    return {
        "load": {"scenario": scenario},
        "provider": "OpenVINO CPU",
        "precision": "fp16",
        "valid": valid,
        "reasons": list(reasons),
        **figures,
    }


def test_a_row_compares_what_the_scenario_is_judged_by():
    first = {
        "offline": report("offline", pairs_per_s=10.0),
        "server": report(
            "server", False, ["the machine itself varied by 46% (x)"], latency_ms={"p50": 200.0}
        ),
    }
    second = {
        "offline": report("offline", pairs_per_s=10.3),
        "server": report("server", latency_ms={"p50": 150.0}),
    }
    assert agreement_table(first, second).splitlines()[2:] == [
        "| offline | OpenVINO CPU, fp16 | 10 pairs/s | 10.3 pairs/s | 3.0% | both VALID |",
        "| server | OpenVINO CPU, fp16 | 200 ms | 150 ms | 25.0% "
        "| the first INVALID: the machine itself varied |",
    ]


def test_what_was_not_run_again_is_shown_so_and_a_setting_of_the_second_alone_is_refused():
    first = {"offline": report("offline", pairs_per_s=10.0)}
    assert agreement_table(first, {}).splitlines()[2:] == [
        "| offline | OpenVINO CPU, fp16 | 10 pairs/s | not run again | | |"
    ]
    with pytest.raises(ValueError, match="only the second run has offline"):
        agreement_table({}, first)


def test_the_page_has_the_table_of_the_stored_runs():
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- begin: agreement -->\n(.*?)<!-- end -->", page, re.DOTALL)[1]
    assert shown.strip() == agreement_table(stored("1"), stored("2"))


def test_what_is_stored_agrees_or_says_why_it_does_not_count():
    """All four scenarios on three ways to run; where both runs count, their medians lie within 5 %."""
    first, second = stored("1"), stored("2")
    ways = {(r["provider"], r["precision"]) for r in first.values()}
    assert len(ways) == 3
    assert {(r["load"]["scenario"], r["provider"], r["precision"]) for r in first.values()} == {
        (scenario, *way) for scenario in SCENARIOS for way in ways
    }
    rows = agreement_table(first, second).splitlines()[2:]
    assert len(rows) == 12
    twice = [row for row in rows if "not run again" not in row]
    assert len(twice) == len(second)
    for row in twice:
        apart, word = row.split(" | ")[4:6]
        assert "INVALID: " in word or float(apart.rstrip("%")) <= 5, row
    assert all(r["accuracy"]["passed"] for run in (first, second) for r in run.values())
