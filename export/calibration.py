"""The scale of each quantised value, from what it is on real face clips."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnx

from flowtell import InputError
from flowtell._onnxruntime import forbid_saturation, load_onnxruntime
from flowtell.export.passes.quantise import INT8_MAX

__all__ = ["activation_scales", "session_of", "with_outputs"]

# Values kept of each tensor and clip, evenly spread: enough to place a clipping point, few enough to hold.
_SAMPLES = 20_000
# Clipping points tried, as shares of the largest value seen.
_SHARES = np.linspace(0.2, 1.0, 33)


def activation_scales(
    model: onnx.ModelProto, values: Sequence[str], clips: Iterable[np.ndarray]
) -> dict[str, float]:
    """Return the step of one integer for each value: the one whose rounding and clipping cost least.

    The cost is the mean squared error over the clips, which trades the few largest numbers against the steps
    of all others (as in Banner et al., NeurIPS 2019, but searched, not modelled).

    Args:
        model: a detector graph, float32.
        values: names of float32 values inside it.
        clips: each ``uint8 [n + 1, S, S, 3]`` RGB.

    Raises:
        InputError: there is no clip.
    """
    session = session_of(with_outputs(model, values))
    seen: dict[str, list[np.ndarray]] = {name: [] for name in values}
    for clip in clips:
        for name, array in zip(values, session.run(list(values), {"clips": clip[None]}), strict=True):
            flat = np.abs(array.ravel())
            largest = flat.max(keepdims=True)  # never lost to the sampling
            seen[name].append(np.concatenate([flat[:: max(1, flat.size // _SAMPLES)], largest]))
    if not all(seen.values()):
        raise InputError("no face clip was found to calibrate on: give videos with faces of 64 px and more")
    return {name: _best_scale(np.concatenate(arrays)) for name, arrays in seen.items()}


def with_outputs(model: onnx.ModelProto, values: Sequence[str]) -> onnx.ModelProto:
    """Return a copy of a graph that also gives out values from its inside, in float32 or as they are."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    present = {value.name for value in copy.graph.output}
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in values if name not in present)
    return copy


def session_of(model: onnx.ModelProto | bytes) -> Any:
    """Open a graph, or the bytes of its file, as the engine does: CPU, one thread, no saturation."""
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    forbid_saturation(options)
    data = model if isinstance(model, bytes) else model.SerializeToString()
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def _best_scale(sizes: np.ndarray) -> float:
    """Return the scale of least mean squared error for numbers of these absolute values."""
    largest = float(sizes.max())
    if largest == 0:
        return 1.0
    scales = largest * _SHARES / INT8_MAX
    errors = [np.mean((np.minimum(np.rint(sizes / s), INT8_MAX) * s - sizes) ** 2) for s in scales]
    return float(scales[int(np.argmin(errors))])
