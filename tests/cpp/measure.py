"""Figures of the C host beside the Python host, as JSON: size, dependencies, start, memory, cost of a call.

    make cpp
    python tests/cpp/measure.py [--build build/cpp] [--bundle DIR] [--rounds 7]

Both hosts open the same bundle in fresh processes, taking turns; medians and quartiles over the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import onnxruntime

from flowtell._bundle import default_bundle_path

ROOT = Path(__file__).resolve().parents[2]

PYTHON_HOST = """
import json, sys, time
start = time.perf_counter()
import flowtell
detector = flowtell.Detector.open(sys.argv[1], provider="cpu", threads=1)
stream = detector.stream()
opened = time.perf_counter()
with open("/proc/self/status") as status:
    kb = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
print(json.dumps({"open_ms": 1e3 * (opened - start), "resident_mb": kb * 1024 / 1e6}))
"""


def run(command: list[str], runtime: Path) -> dict[str, float]:
    environment = {**os.environ, "FLOWTELL_ONNXRUNTIME": str(runtime)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def summary(rounds: list[dict[str, float]]) -> dict[str, Any]:
    result = {}
    for name in rounds[0]:
        low, middle, high = statistics.quantiles([figures[name] for figures in rounds], n=4)
        result[name] = {"median": round(middle, 3), "quartiles": [round(low, 3), round(high, 3)]}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", type=Path, default=ROOT / "build/cpp", help="where `make cpp` built")
    parser.add_argument("--bundle", type=Path, default=default_bundle_path())
    parser.add_argument("--rounds", type=int, default=7)
    chosen = parser.parse_args()
    (runtime,) = Path(sysconfig.get_path("purelib"), "onnxruntime", "capi").glob("libonnxruntime.*.[0-9]*")
    (library,) = (chosen.build / "engine/cpp").glob("libflowtell.so.*.*")
    c_host = [str(chosen.build / "tests/cpp/measure"), str(chosen.bundle)]
    python_host = [sys.executable, "-c", PYTHON_HOST, str(chosen.bundle)]
    run(c_host, runtime)  # both once, so that the files are in memory
    run(python_host, runtime)
    rounds = [(run(c_host, runtime), run(python_host, runtime)) for _ in range(chosen.rounds)]
    needed = subprocess.run(["ldd", str(library)], capture_output=True, text=True, check=True).stdout
    stripped = chosen.build / "libflowtell.stripped.so"
    subprocess.run(["strip", "-o", str(stripped), str(library)], check=True)
    figures = {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "onnxruntime": onnxruntime.__version__,
        "bundle": chosen.bundle.name,
        "rounds": chosen.rounds,
        "library_bytes": library.stat().st_size,
        "library_bytes_stripped": stripped.stat().st_size,
        "ldd": sorted(line.split()[0] for line in needed.splitlines()),
        "c": summary([c for c, _ in rounds]),
        "python": summary([python for _, python in rounds]),
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
