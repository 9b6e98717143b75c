"""What each precision of a bundle costs and gives: bytes, drift, the gate's word, speed beside fp32.

    python -m flowtell.benchmarks.precision [BUNDLE] --clips VIDEO... > result.json
    python -m flowtell.benchmarks.precision --table result.json

The first derives fp16, bf16 and int8 from the stored copy, compares them with the Keras models as the gate
of `flowtell export` does, but goes on where one does not pass, and prints one JSON object. Speed is that of
one face clip on one thread, in ONNX Runtime as the engine opens it and in OpenVINO where it is installed, all
contenders in turn; OpenVINO is told to compute an fp16 graph in f16 and any other as it is written; bf16 is
for OpenVINO alone, on a CPU that has it. VGG16 alone is cut out of the detector. The second prints the tables
of `docs/precision.md`. Twenty clips of 16 pairs take about ten minutes on two cores.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx

import flowtell
from flowtell import _provider_openvino
from flowtell.benchmarks.machine import machine_context
from flowtell.benchmarks.runtimes import openvino_model
from flowtell.benchmarks.statistics import interleaved_timings
from flowtell.export._stages import StageLog
from flowtell.export.calibration import session_of
from flowtell.export.derivation import derive_bundle
from flowtell.export.limits import LIMITS
from flowtell.export.passes.widen_weights import widen_weights
from flowtell.export.precision import DERIVED

__all__ = ["measure", "tables", "vgg16_alone", "vgg16_input"]

# The kernel that VGG16 begins with inside the detector, and the value that it ends with.
_FIRST_KERNEL, _VGG16_OUTPUT = "classifier/block1/conv1/kernel", "classifier/logit/Add"

WIDENED = "fp32, stored in float32"
"""The detector with its weights widened once and for all: what compact storage is compared with."""

_PARTS = tuple((part, runtime) for part in ("detector", "VGG16") for runtime in ("onnxruntime", "openvino"))


def main():
    """Measure and print, or print tables; see the module."""
    parser = argparse.ArgumentParser(description="Size, drift and speed of each precision of a bundle.")
    add = parser.add_argument
    add("bundle", nargs="?", metavar="BUNDLE", help="its folder (default: the own one)")
    add("--clips", nargs="+", type=Path, default=[], metavar="VIDEO", help="to calibrate and to judge on")
    add("--clips-per-file", type=int, default=4, metavar="N", help="of each video; default: 4")
    add("--pairs", type=int, default=16, metavar="N", help="of each clip; default: 16")
    add("--timed-pairs", type=int, default=4, metavar="N", help="of the clip that is timed; default: 4")
    add("--runs", type=int, default=7, metavar="N", help="timed turns of each; default: 7")
    add("--table", type=Path, metavar="JSON", help="print the tables of a result")
    args = parser.parse_args()
    if args.table is not None:
        print(tables(json.loads(args.table.read_text(encoding="utf-8"))))
        return
    if not args.clips:
        parser.error("precisions are calibrated and judged on videos: name some with --clips")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(args.bundle or flowtell.default_bundle_path())
        log = StageLog(sys.stderr)
        unlimited = {precision: {} for precision in LIMITS}
        derived = Path(folder) / "derived"
        derive_bundle(source, derived, DERIVED, args.clips, args.clips_per_file, args.pairs, log, unlimited)
        bundle = flowtell.Bundle.open(derived)
        frames = next(iter(flowtell.iter_face_clips(args.clips[0], bundle))).frames[: args.timed_pairs + 1]
        with log.stage("time all precisions in turn"):
            result = measure(bundle, frames, args.runs)
    print(json.dumps(result, indent=2))


def measure(bundle, frames, runs):
    """Return the object that is printed.

    Args:
        bundle: an open `flowtell.Bundle` with certificates, whether or not they pass the gate.
        frames: the face clip that is timed, `uint8 [n + 1, S, S, 3]` RGB.
        runs: timed turns of each precision.
    """
    graphs = {p: bundle.read_graph("detector", p) for p in bundle.precisions("detector")}
    stored = onnx.load_model_from_string(graphs["fp32"])
    graphs[WIDENED] = widen_weights(stored).SerializeToString()
    inputs = {"clips": frames[None]}
    contenders, begin = {}, vgg16_input(graphs["fp32"])
    picture = _value(graphs["fp32"], inputs, begin)
    for precision, data in graphs.items():
        parts = {"detector": (data, inputs), "VGG16": (vgg16_alone(data, begin), picture)}
        for part, runtime in _PARTS:
            run = _OPEN[runtime](*parts[part], precision)
            if run is not None:
                contenders[precision, part, runtime] = run
    timings = interleaved_timings(contenders, runs)
    certificates = {c["precision"]: c["figures"] for c in bundle.manifest.certificates}
    return {
        "machine": machine_context(),
        "bundle": {
            "name": bundle.manifest.name,
            "detector_sha256": bundle.manifest.graphs["detector"]["fp32"].sha256,
        },
        "timed_pairs": len(frames) - 1,
        "runs": runs,
        "widening_changes_a_logit_by": _largest_difference(graphs["fp32"], graphs[WIDENED], inputs),
        "precisions": {
            precision: {
                "detector_bytes": len(data),
                "figures": certificates.get(precision),
                "beyond": _beyond(certificates[precision], precision) if precision in certificates else None,
                "speed": {
                    f"{part}, {runtime}": asdict(timings[precision, part, runtime])
                    | {
                        "relative_to_fp32": round(
                            timings["fp32", part, runtime].median_ms
                            / timings[precision, part, runtime].median_ms,
                            3,
                        )
                    }
                    for part, runtime in _PARTS
                    if (precision, part, runtime) in contenders
                },
            }
            for precision, data in graphs.items()
        },
    }


def tables(result):
    """Return a result as two tables in Markdown: what a precision changes, and how quick it is."""
    lines = [
        "| | `detector.onnx` | flow EPE, px: mean, p99, worst | logit of a pair: mean, worst "
        "| of a clip: worst | verdict flips | gate |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in result["precisions"].items():
        size = f"| {name} | {row['detector_bytes'] / 1e6:.1f} MB |"
        found = row["figures"]
        if found is None:
            same = f"fp32's own: logits differ by {result['widening_changes_a_logit_by']:.1g}"
            lines.append(f"{size} {same} | | | | not asked |")
            continue
        epe, logit = (
            ", ".join(f"{found[key]:.2g}" for key in keys)
            for keys in (("flow_mean_epe", "flow_p99_epe", "flow_max_epe"), ("pair_logit_mean", "pair_logit"))
        )
        beyond = ", ".join(f"`{key}` {found[key]:.2g} over {most:g}" for key, most in row["beyond"].items())
        lines.append(
            f"{size} {epe} | {logit} | {found['clip_logit']:.2g} | {found['verdict_flips']} of "
            f"{found['clips']} | {f'refused: {beyond}' if beyond else 'passes'} |"
        )
    names = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
    titles = (f"{part}, {names[runtime]}" for part, runtime in _PARTS)
    lines += ["", f"| speed, fp32 = 1 | {' | '.join(titles)} |", "|---" * (len(_PARTS) + 1) + "|"]
    base = result["precisions"]["fp32"]["speed"]
    for name, row in result["precisions"].items():
        cells = (_speed(row["speed"].get(f"{p}, {r}"), base.get(f"{p}, {r}")) for p, r in _PARTS)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _speed(timing, base):
    """Return a median's speed beside fp32's median, and those of the quartiles beside it."""
    if timing is None:
        return "not run"
    median, slow, fast = (base["median_ms"] / timing[key] for key in ("median_ms", "high_ms", "low_ms"))
    return f"{median:.2f} ({slow:.2f} to {fast:.2f})"


def _beyond(figures, precision):
    """Return each figure that exceeds the gate's limit, with that limit."""
    limits = {name: limit.value for name, limit in LIMITS[precision].items()}
    return {name: most for name, most in limits.items() if not figures[name] <= most}


def _largest_difference(first, second, inputs):
    one, other = (session_of(data).run(["pair_logits"], inputs)[0] for data in (first, second))
    return float(np.abs(one - other).max())


def vgg16_input(data):
    """Return the name of what VGG16 reads in a float32 detector; other precisions have it, in float32, too.

    The colour order gives it, or, where VGG16 takes images as they are, what stands before.
    """
    nodes = onnx.load_model_from_string(data).graph.node
    return next(n.input[0] for n in nodes if n.op_type == "Conv" and n.input[1] == _FIRST_KERNEL)


def vgg16_alone(data, begin):
    """Cut VGG16 out of a detector; return its bytes.

    Args:
        data: the detector, in any precision.
        begin: what `vgg16_input` gives for the one in float32.
    """
    model = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(data))
    return onnx.utils.Extractor(model).extract_model([begin], [_VGG16_OUTPUT]).SerializeToString()


def _value(data, inputs, name):
    """Return a value inside a float32 detector for these inputs, as `{name: array}`."""
    shown = onnx.load_model_from_string(data)
    shown.graph.output.append(onnx.ValueInfoProto(name=name))
    (value,) = session_of(shown).run([name], inputs)
    return {name: np.ascontiguousarray(value)}


def _onnxruntime(data, inputs, precision):
    if precision == "bf16":
        return None
    session = session_of(data)
    return lambda: session.run(None, inputs)


def _openvino(data, inputs, precision):
    if _provider_openvino.why_not() or (precision == "bf16" and _provider_openvino.why_not_bf16()):
        return None
    compiled = openvino_model(data, 1, "f16" if precision == "fp16" else "f32")
    return lambda: compiled(inputs)


_OPEN = {"onnxruntime": _onnxruntime, "openvino": _openvino}


if __name__ == "__main__":
    main()
