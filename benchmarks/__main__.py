"""Compare the detector of a bundle with the same Keras models, run as scripts run them.

    python -m flowtell.benchmarks [--bundle DIR] [--clip VIDEO] [--runs N]

Prints one JSON object: the machine, how far the contenders' outputs lie apart, pairs a second of each with
the spread, and the fastest float32 matrix product that was measured in between.
"""

import argparse
import json
import os
import platform
import resource
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np

import flowtell
from flowtell.benchmarks.machine import cpu_name
from flowtell.benchmarks.statistics import interleaved_timings

# Largest difference of a pair's probability at which two contenders count as doing the same work: flow that
# differs in its sixth digit passes through the hues of the colour wheel, which jump.
SAME_PROBABILITY = 1e-3
GEMM_SIZES = (256, 512, 1024, 2048)


def main():
    """Run the comparison; exit code 1 if the contenders disagree."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    args = _arguments()
    folder = args.bundle or flowtell.default_bundle_path()
    detector = flowtell.Detector.open(folder, provider="cpu")
    contenders, pairs, difference = _contenders(detector, folder, _clip(args.clip, detector))
    if difference > SAME_PROBABILITY:
        print(f"outputs differ by {difference:.2e} in probability: nothing was timed", file=sys.stderr)
        return 1
    gemm = {f"gemm {n}": _gemm(n) for n in GEMM_SIZES}
    timings = interleaved_timings(contenders | gemm, args.runs)
    ceiling = max(2e-6 * n**3 / timings[f"gemm {n}"].median_ms for n in GEMM_SIZES)
    report = {
        "machine": {"cpu": cpu_name(), "cores": os.cpu_count(), "python": platform.python_version()},
        "detector_sha256": detector.bundle.manifest.graphs["detector"]["fp32"].sha256,
        "largest_difference_of_probability": difference,
        "best_gemm_gflops": round(ceiling, 1),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "contenders": {
            name: asdict(timings[name]) | {"pairs_per_s": round(1e3 * pairs / timings[name].median_ms, 2)}
            for name in contenders
        },
    }
    print(json.dumps(report, indent=2))
    return 0


def _arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", type=Path, help="folder of a bundle (default: the packaged one)")
    parser.add_argument("--clip", help="a video with a face (default: the natural sample)")
    parser.add_argument("--runs", type=int, default=7, help="timed runs of each contender (default: 7)")
    return parser.parse_args()


def _clip(path, detector):
    from flowtell import samples

    clips = list(flowtell.iter_face_clips(path or samples.natural_path(), detector.bundle, max_clips=1))
    if not clips:
        raise SystemExit("no face clip in that video: name one with a face")
    return clips[0].frames


def _contenders(detector, folder, frames):
    """Return the contenders, the pairs each judges in a run, and how far their probabilities lie apart."""
    import keras

    from flowtell.export import keras_from_bundle

    model = keras_from_bundle(folder).detector()
    cores = detector.threads
    clips = np.stack([frames] * cores)

    def pair_by_pair():
        logits = [
            model.predict(frames[None, t : t + 2], verbose=0)["pair_logits"][0, 0]
            for t in range(len(frames) - 1)
        ]
        return np.asarray(logits)

    def keras_clip():
        return keras.ops.convert_to_numpy(model.predict_on_batch(frames[None])["pair_logits"])[0]

    def engine():
        return detector.score_clips(clips).pair_logits

    def probabilities(logits):
        return 1 / (1 + np.exp(-logits))

    wanted = probabilities(pair_by_pair())
    difference = max(np.abs(probabilities(f()) - wanted).max() for f in (keras_clip, engine))
    pairs = len(frames) - 1
    # The engine works on one clip a core at once: all contenders judge as many pairs in a run.
    contenders = {
        "Keras, predict on a batch of one pair": lambda: [pair_by_pair() for _ in range(cores)],
        "Keras, one clip a batch": lambda: [keras_clip() for _ in range(cores)],
        "flowtell, detector.onnx": engine,
    }
    return contenders, pairs * cores, float(difference)


def _gemm(size):
    a, b = np.random.default_rng(0).normal(size=(2, size, size)).astype(np.float32)
    return lambda: a @ b


if __name__ == "__main__":
    raise SystemExit(main())
