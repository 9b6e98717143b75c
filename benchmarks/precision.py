"""What each precision of a bundle costs and gives: bytes, speed beside fp32 in the same run, drift.

    flowtell export BUNDLE --out DERIVED --precision fp16 int8 --clips VIDEO...
    python -m flowtell.benchmarks.precision DERIVED --clip VIDEO [--runs N]

Prints one JSON object. Drift is what the certificates of the bundle say; speed is measured: one face clip,
one thread, ONNX Runtime as the engine opens it and OpenVINO where it is installed, all contenders in turn.
OpenVINO is told to compute an fp16 graph in f16 and any other in f32. VGG16 alone is cut out of the detector.
With 7 runs of 4 pairs it takes about three minutes on two cores.
"""

import argparse
import json
from dataclasses import asdict

import numpy as np
import onnx

import flowtell
from flowtell.benchmarks.machine import machine_context
from flowtell.benchmarks.runtimes import openvino_model
from flowtell.benchmarks.statistics import interleaved_timings
from flowtell.export.calibration import session_of

# Where VGG16 begins and ends inside the detector.
_VGG16_INPUT, _VGG16_OUTPUT = "classifier/concat", "classifier/logit/Add"


def main():
    """Measure and print; see the module."""
    parser = argparse.ArgumentParser(description="Size, speed and drift of each precision of a bundle.")
    parser.add_argument("bundle", help="a bundle with certificates, as 'flowtell export --precision' writes")
    parser.add_argument("--clip", required=True, metavar="VIDEO", help="a video with a face")
    parser.add_argument("--pairs", type=int, default=4, metavar="N", help="of its first clip; default: 4")
    parser.add_argument("--runs", type=int, default=7, metavar="N", help="default: 7")
    args = parser.parse_args()
    bundle = flowtell.Bundle.open(args.bundle)
    frames = next(iter(flowtell.iter_face_clips(args.clip, bundle))).frames[: args.pairs + 1]
    print(json.dumps(report(bundle, frames, args.runs), indent=2))


def report(bundle, frames, runs):
    """Return the object that is printed.

    Args:
        bundle: an open `flowtell.Bundle`.
        frames: a face clip, `uint8 [n + 1, S, S, 3]` RGB.
        runs: timed runs of each contender.
    """
    graphs = {p: bundle.read_graph("detector", p) for p in bundle.precisions("detector")}
    inputs = {"clips": frames[None]}
    contenders = {}
    for precision, data in graphs.items():
        parts = {"detector": (data, inputs), "VGG16": vgg16_alone(data, inputs)}
        for part, (graph, given) in parts.items():
            for runtime, opened in (("onnxruntime", _onnxruntime), ("openvino", _openvino)):
                run = opened(graph, given, precision)
                if run is not None:
                    contenders[precision, part, runtime] = run
    timings = interleaved_timings(contenders, runs)
    certificates = {c["precision"]: c["figures"] for c in bundle.manifest.certificates}
    return {
        "machine": machine_context(),
        "pairs": len(frames) - 1,
        "runs": runs,
        "precisions": {
            precision: {
                "detector_sha256": bundle.manifest.graphs["detector"][precision].sha256,
                "detector_bytes": len(data),
                "figures": certificates.get(precision),
                "speed": {
                    f"{part}, {runtime}": asdict(timings[precision, part, runtime])
                    | {
                        "relative_to_fp32": round(
                            timings["fp32", part, runtime].median_ms
                            / timings[precision, part, runtime].median_ms,
                            3,
                        )
                    }
                    for of, part, runtime in contenders
                    if of == precision
                },
            }
            for precision, data in graphs.items()
        },
    }


def vgg16_alone(data, inputs):
    """Cut VGG16 out of a detector; return its bytes and what it reads for these inputs."""
    model = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(data))
    cut = onnx.utils.Extractor(model).extract_model([_VGG16_INPUT], [_VGG16_OUTPUT])
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    shown.graph.output.append(onnx.ValueInfoProto(name=_VGG16_INPUT))
    (picture,) = session_of(shown).run([_VGG16_INPUT], inputs)
    return cut.SerializeToString(), {_VGG16_INPUT: np.ascontiguousarray(picture)}


def _onnxruntime(data, inputs, precision):
    session = session_of(data)
    return lambda: session.run(None, inputs)


def _openvino(data, inputs, precision):
    try:
        compiled = openvino_model(data, 1, "f16" if precision == "fp16" else "f32")
    except ImportError:
        return None
    return lambda: compiled(inputs)


if __name__ == "__main__":
    main()
