"""A page that shows results of an earlier default bundle says so before their table."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = json.loads((ROOT / "engine/flowtell/bundles/default/manifest.json").read_text(encoding="utf-8"))
SHIPPED = MANIFEST["graphs"]["detector"]["fp32"]["sha256"]
SAID, LINES_BEFORE = "earlier default bundle", 12
# Tables whose mark names no file.
RESULTS_OF = {"agreement": "benchmarks/results/scenarios"}


def tables() -> list[tuple[str, str, str]]:
    """Page, results and the lines before the table, in one, of each table that a command prints."""
    found = []
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = page.read_text(encoding="utf-8")
        for mark in re.finditer(r"^<!-- begin: (.*) -->$", text, re.MULTILINE):
            before = text[: mark.start()].splitlines()[-LINES_BEFORE:]
            found.append((page.name, mark[1].split()[-1], " ".join(before)))
    return found


def detectors(results: str) -> set[str]:
    """Hashes of the detectors that a file, or a folder, of results says it is of; maybe none."""
    path = ROOT / RESULTS_OF.get(results, results)
    files = path.rglob("*.json") if path.is_dir() else [path]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    return set(re.findall(r'"(?:detector|graph)_sha256": "(\w{64})"', text))


def test_results_of_an_earlier_bundle_are_said_to_be() -> None:
    named = [(page, results, before) for page, results, before in tables() if detectors(results)]
    assert len(named) >= 3
    silent = [
        f"{page}: {results}"
        for page, results, before in named
        if SHIPPED not in detectors(results) and SAID not in before
    ]
    assert not silent
