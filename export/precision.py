"""Other precisions of a detector, derived from the one stored copy: float16, bfloat16 and int8."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
import onnx
from onnx import helper, version_converter

from flowtell.export.blocks import node_blocks
from flowtell.export.calibration import activation_scales
from flowtell.export.passes.halve import halve
from flowtell.export.passes.narrow_floats import BFLOAT16, FLOAT16
from flowtell.export.passes.quantise import quantise, quantised_sources
from flowtell.export.passes.widen_weights import widen_weights

__all__ = ["DERIVED", "FLOAT32_BLOCKS", "HALVES", "derived_detector", "half_detector", "int8_detector"]

DERIVED = ("fp16", "bf16", "int8")

# The precisions whose graphs compute in two bytes.
HALVES = {"fp16": FLOAT16, "bf16": BFLOAT16}

# Blocks that two bytes would cost most in: docs/decisions/0017-places-that-stay-in-float32.md.
_COSTLY = (
    r"clip head|colour order|context head|flow head|flow image|flow upsampling|input|logit|normalise"
    r"|pyramid level 1|residual|resize|warp"
)
FLOAT32_BLOCKS = {"fp16": re.compile(_COSTLY), "bf16": re.compile(rf"{_COSTLY}|pyramid level 2")}

# The first whose convolutions take bfloat16; of the detector's operators only GridSample changes its words.
_BFLOAT16_OPSET = 22


def derived_detector(data: bytes, precision: str, clips: Sequence[np.ndarray]) -> onnx.ModelProto:
    """Derive ``detector.onnx`` in another precision.

    Args:
        data: ``detector.onnx`` in ``fp32``, however its weights are stored.
        precision: ``fp16``, ``bf16`` or ``int8``.
        clips: face clips to calibrate int8 on, each ``uint8 [n + 1, S, S, 3]`` RGB.

    Raises:
        InputError: int8 is wanted and there is no clip.
        KeyError: there is no such precision.
    """
    model = onnx.load_model_from_string(data)
    derive: Callable[[], onnx.ModelProto] = {
        "fp16": lambda: half_detector(model, "fp16"),
        "bf16": lambda: half_detector(model, "bf16"),
        "int8": lambda: int8_detector(model, clips),
    }[precision]
    derived = derive()
    # Its weights are no longer stored as the recipes say: Keras models come from the stored copy.
    helper.set_model_props(derived, {})
    onnx.checker.check_model(derived, full_check=True)
    return derived


def half_detector(
    model: onnx.ModelProto, precision: str, keeps_float32: Callable[[str], object] | None = None
) -> onnx.ModelProto:
    """Let the detector compute in float16 or bfloat16, but for some blocks.

    Args:
        model: the stored detector.
        precision: ``fp16`` or ``bf16``.
        keeps_float32: says of a block (`flowtell.export.blocks`) whether it stays as it is; None for those of
            `FLOAT32_BLOCKS`.
    """
    keeps_float32 = keeps_float32 or FLOAT32_BLOCKS[precision].match
    wide = widen_weights(model)
    if precision == "bf16":
        wide = version_converter.convert_version(wide, _BFLOAT16_OPSET)
    blocks = node_blocks(wide)
    return halve(wide, lambda node: not keeps_float32(blocks[node.output[0]]), HALVES[precision])


def int8_detector(
    model: onnx.ModelProto, clips: Sequence[np.ndarray], choose: Callable[[str], bool] | None = None
) -> onnx.ModelProto:
    """Let the detector's VGG16 compute in int8, its scales calibrated on face clips.

    The convolutions of the classifier are quantised; its dense layers, a thousandth of its arithmetic, and
    the flow network stay float32 and as they are stored.

    Args:
        model: the stored detector.
        clips: each ``uint8 [n + 1, S, S, 3]`` RGB.
        choose: says by its name whether a kernel is quantised; None for the above.
    """
    choose = choose or is_classifier_kernel
    wide = widen_weights(model, choose)
    return quantise(wide, choose, activation_scales(wide, quantised_sources(wide, choose), clips))


def is_classifier_kernel(name: str) -> bool:
    """Tell whether a weight is a kernel of the classifier's convolutions."""
    return name.startswith("classifier/block") and name.endswith("/kernel")
