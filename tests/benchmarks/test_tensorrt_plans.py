"""The table of docs/tensorrt.md is what the stored result says."""

from __future__ import annotations

import json
import re
from pathlib import Path

from flowtell.benchmarks.tensorrt_plans import CAPABILITIES, table

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "tensorrt.md").read_text(encoding="utf-8")
STORED = ROOT / "benchmarks" / "results" / "tensorrt-rtx-plans.json"
RESULT = json.loads(STORED.read_text(encoding="utf-8"))


def test_the_page_has_the_table_of_the_stored_result():
    command, shown = re.search(r"<!-- begin: (.*?) -->\n(.*?)<!-- end -->", PAGE, re.DOTALL).groups()
    assert command.split()[-1] == str(STORED.relative_to(ROOT))
    assert shown.strip() == table(RESULT)
    assert RESULT["bundle"]["sha256"][:12] in PAGE
    assert RESULT["backend"] in PAGE


def test_the_result_has_every_precision_and_gpu_and_no_plugin():
    cells = {(build["precision"], build["compute_capability"]): build for build in RESULT["builds"]}
    wanted = {(precision, number) for precision in ("fp32", "fp16", "int8") for number in CAPABILITIES}
    assert set(cells) == wanted
    for build in cells.values():
        if build["state"] == "refused":
            assert build["reason"]
        else:
            assert not [kind for kind in build["layers"] if kind.startswith("PLUGIN")]
            assert build["plan_bytes"] > 0
    assert len({build["graph_sha256"] for build in cells.values()}) == 3


def test_a_table_shows_sizes_times_refusals_and_plugins():
    built = {"state": "built", "plan_bytes": 1_250_000, "build_s": 9.0, "build_cpu_s": 3.4}
    result = {
        "builds": [
            {"precision": "fp32", "compute_capability": "7.5", "state": "refused", "reason": "no"},
            {"precision": "fp32", "compute_capability": "8.6", **built, "layers": {"CAST": 2, "SLICE": 3}},
            {"precision": "int8", "compute_capability": "7.5", **built, "layers": {"PLUGIN_V3": 1}},
            {"precision": "int8", "compute_capability": "8.6", **built, "layers": {"CAST": 4}},
        ]
    }
    assert table(result).splitlines() == [
        "| | SM 7.5 | SM 8.6 | layers | plugins |",
        "|---|---|---|---|---|",
        "| fp32 | refused | 1.2 MB, 3 s | 5 | 0 |",
        "| int8 | 1.2 MB, 3 s | 1.2 MB, 3 s | 1 to 4 | 0 to 1 |",
    ]
