"""Judges every file of the hostile corpus with the tiny bundle and counts the states.

    python tests/media/judge.py --out SUMMARY.json

Ends with 1 where a file got a state or a verdict that it must not have, took longer than its limit, or cost
the process that judges anything but time.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import av

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from media.corpus import Hostile, make_corpus
from media.rules import broken_rules

from flowtell import Detector

TINY_BUNDLE = Path(__file__).resolve().parents[1] / "bundles" / "tiny"
LIMIT_S = 60.0
"""Wall time for one file. The slowest good one takes two seconds."""

SLACK_S = 30.0
"""A thread that gives up still closes its file; and these cores may be shared."""


def main() -> int:
    """Make the corpus, judge it, write the summary; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        summary = judge(make_corpus(Path(folder) / "corpus"))
    text = json.dumps(summary, indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n")
    return 1 if summary["wrong"] else 0


def judge(corpus: Iterable[Hostile]) -> dict[str, object]:
    """Judge these files; return the counts of their states, and every rule that was broken."""
    states: dict[str, Counter[str]] = defaultdict(Counter)
    reasons: Counter[str] = Counter()
    wrong = []
    slowest_s, slowest = 0.0, ""
    with Detector.open(TINY_BUNDLE, threads=2) as detector:
        for hostile in corpus:
            begun_s = time.monotonic()
            name = f"{hostile.family}/{hostile.path.name}"
            try:
                result = detector.detect(hostile.path, timeout_s=LIMIT_S)
            except Exception as error:  # whatever comes out is what this is there to see
                wrong.append(f"{name}: {type(error).__name__}: {error}")
                continue
            took_s = time.monotonic() - begun_s
            if took_s > slowest_s:
                slowest_s, slowest = took_s, name
            states[hostile.family][result.state] += 1
            if "broke down" in (result.reason or ""):
                reasons[f"{name}: {result.reason}"] += 1
            rules = broken_rules(hostile, result)
            if took_s > LIMIT_S + SLACK_S:
                rules.append(f"took {took_s:.0f} s")
            wrong += [f"{name}: {rule}" for rule in rules]
    return {
        "files": sum(sum(counts.values()) for counts in states.values()),
        "states": dict(sum(states.values(), Counter())),
        "states_by_family": {family: dict(counts) for family, counts in states.items()},
        "broke_down": sorted(reasons),
        "slowest": {"file": slowest, "seconds": round(slowest_s, 1), "limit_s": LIMIT_S},
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6),
        "threads_left": threading.active_count(),
        "wrong": wrong,
        "libraries": {"python": platform.python_version(), "av": av.__version__},
    }


if __name__ == "__main__":
    sys.exit(main())
