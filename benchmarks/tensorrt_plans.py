"""Which precisions TensorRT-RTX builds a bundle's detector in, for which GPUs; no GPU is needed.

    python -m flowtell.benchmarks.tensorrt_plans BUNDLE --clips VIDEO... > result.json
    python -m flowtell.benchmarks.tensorrt_plans --table result.json

The first derives fp16 and int8 from the stored copy (int8 calibrated on the clips), builds a plan of each for
each compute capability, and prints one JSON object: built or refused, with TensorRT's words; bytes; wall and
processor seconds of one build; layers of the network by type, plugins among them where there are any. The
second prints the table of `docs/tensorrt.md`. The default bundle takes about five minutes on two cores.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import flowtell
from flowtell._plan_key import PlanKey, profile_of, system_name
from flowtell._providers import computes_in
from flowtell._tensorrt import Backend, backend_called
from flowtell.benchmarks.machine import machine_context
from flowtell.export.plans import PlanRefusedError, build_plan
from flowtell.export.precision import DERIVED, derived_detector

__all__ = ["CAPABILITIES", "measure", "table"]

CAPABILITIES = ("7.5", "8.0", "8.6", "8.9", "12.0")
# Frame pairs of each video that int8 is calibrated on.
_CALIBRATION_PAIRS = 4


def main() -> None:
    """Measure and print, or print a table; see the module."""
    parser = argparse.ArgumentParser(description="Builds a detector by TensorRT-RTX in every precision.")
    parser.add_argument("bundle", nargs="?", metavar="BUNDLE", help="its folder (default: the own one)")
    parser.add_argument("--clips", nargs="+", default=[], metavar="VIDEO", help="to calibrate int8 on")
    parser.add_argument("--table", type=Path, metavar="JSON", help="print the table of a result")
    arguments = parser.parse_args()
    if arguments.table is not None:
        print(table(json.loads(arguments.table.read_text(encoding="utf-8"))))
        return
    if not arguments.clips:
        parser.error("int8 is calibrated on videos: name some with --clips")
    print(json.dumps(measure(flowtell.Bundle.open(arguments.bundle), arguments.clips), indent=2))


def measure(
    bundle: flowtell.Bundle, videos: Sequence[str], capabilities: Sequence[str] = CAPABILITIES
) -> dict[str, Any]:
    """Build every precision for every compute capability; return the object that is printed."""
    backend = backend_called("tensorrt_rtx")
    frames = [
        clip.frames[: _CALIBRATION_PAIRS + 1]
        for video in videos
        for clip in islice(flowtell.iter_face_clips(video, bundle), 1)
    ]
    stored = bundle.read_graph("detector")
    graphs = {"fp32": stored}
    for precision in (name for name in DERIVED if computes_in("tensorrt", name)):
        graphs[precision] = derived_detector(stored, precision, frames).SerializeToString()
    return {
        "machine": machine_context(),
        "backend": f"{backend.title} {backend.version()}",
        "bundle": {"name": bundle.manifest.name, "sha256": bundle.sha256},
        "profile": profile_of("detector", bundle.manifest),
        "builds": [
            _build(backend, bundle, data, precision, capability)
            for precision, data in graphs.items()
            for capability in capabilities
        ],
    }


def _build(
    backend: Backend, bundle: flowtell.Bundle, data: bytes, precision: str, capability: str
) -> dict[str, Any]:
    key = PlanKey(
        graph_sha256=hashlib.sha256(data).hexdigest(),
        backend=backend.name,
        version=backend.version(),
        gpu="",
        compute_capability=capability,
        precision=precision,
        profile=profile_of("detector", bundle.manifest) or {},
        system=system_name(),
    )
    common = {"precision": precision, "compute_capability": capability, "graph_sha256": key.graph_sha256}
    begun_s = time.process_time()
    try:
        built = build_plan(backend, data, key, "detector.onnx")
    except PlanRefusedError as error:
        return {**common, "state": "refused", "reason": str(error)}
    return {
        **common,
        "state": "built",
        "plan_bytes": built.data.nbytes,
        "build_s": round(built.build_s, 1),
        "build_cpu_s": round(time.process_time() - begun_s, 1),
        "layers": dict(sorted(built.layers.items())),
    }


def table(result: dict[str, Any]) -> str:
    """Return a result as a table in Markdown: a row a precision, a column a compute capability."""
    cells = {(b["precision"], b["compute_capability"]): b for b in result["builds"]}
    precisions = list(dict.fromkeys(precision for precision, _ in cells))
    capabilities = list(dict.fromkeys(capability for _, capability in cells))
    lines = [
        "| | " + " | ".join(f"SM {capability}" for capability in capabilities) + " | layers | plugins |",
        "|---" * (len(capabilities) + 3) + "|",
    ]
    for precision in precisions:
        row = [cells[precision, capability] for capability in capabilities]
        built = [build["layers"] for build in row if build["state"] == "built"]
        plugins = [sum(n for kind, n in each.items() if kind.startswith("PLUGIN")) for each in built]
        lines.append(
            f"| {precision} | "
            + " | ".join(_cell(build) for build in row)
            + f" | {_same([sum(each.values()) for each in built])} | {_same(plugins)} |"
        )
    return "\n".join(lines)


def _cell(build: dict[str, Any]) -> str:
    if build["state"] == "refused":
        return "refused"
    return f"{build['plan_bytes'] / 1e6:.1f} MB, {build['build_cpu_s']:.0f} s"


def _same(counts: Sequence[int]) -> str:
    """Return the count, or from the lowest to the highest where they differ."""
    if not counts:
        return ""
    return str(counts[0]) if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)}"


if __name__ == "__main__":
    main()
