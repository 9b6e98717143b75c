"""How far a bundle may lie from its Keras models: a table for each precision, each limit with its reason."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LIMITS", "STAGES", "TENSOR_LIMITS", "Limit"]


@dataclass(frozen=True)
class Limit:
    """The largest value a figure may have, its unit, and why it is that."""

    value: float
    unit: str
    reason: str


# The stages of a bundle in their order, each with the figures of `parity.Figures` that speak of it alone. The
# last is all of them in a row.
STAGES = {
    "crop": ("crop_levels",),
    "flow": ("flow_max_epe", "flow_mean_epe", "flow_p99_epe"),
    "classifier": (
        "classifier_probability",
        "classifier_probability_mean",
        "classifier_logit",
        "classifier_logit_mean",
    ),
    "score": (
        "pair_probability",
        "pair_probability_mean",
        "pair_logit",
        "pair_logit_mean",
        "clip_logit",
        "verdict_flips",
    ),
}

_CROP = Limit(1, "levels", "float32 sums before a rounding: the nearest level may be the one beside it")
_FLIPS = Limit(0, "clips", "what users are told may not depend on who computed it")

# float32 against float32: the same arithmetic in another order.
_FP32 = {
    "crop_levels": _CROP,
    "flow_max_epe": Limit(
        1e-3, "px", "a warp amplifies rounding where features change quickly; 1e-4 is usual"
    ),
    "flow_mean_epe": Limit(1e-4, "px", "without single outliers the two agree to the sixth digit"),
    "classifier_probability": Limit(
        1e-4,
        "",
        "identical flow in; a residual of a level is left of luma up to 255: 4e-5 is usual, 1e-5 without",
    ),
    "pair_probability": Limit(1e-3, "", "flow differences pass through the colour wheel, whose hue jumps"),
    "pair_logit": Limit(4e-3, "", "at most 1e-3 in probability, and near 0 and 1 as strict; 1e-4 is usual"),
    "clip_logit": Limit(1e-3, "", "at most 2.5e-4 in the probability of a clip; 2e-5 is usual"),
    "verdict_flips": _FLIPS,
}

# float16 has 11 bits: half a unit in the last place is 0.005 px for a flow of 16 px.
_FP16 = {
    "crop_levels": _CROP,
    "flow_max_epe": Limit(0.25, "px", "one pixel in thousands, where a warp amplifies rounding"),
    "flow_mean_epe": Limit(0.005, "px", "below what storing weights in int8 costs (0.015 px), which is seen"),
    "flow_p99_epe": Limit(
        0.05, "px", "a twentieth of the length that the colour wheel is scaled to at least"
    ),
    "classifier_logit_mean": Limit(0.01, "", "at most 0.0025 in probability"),
    "pair_logit_mean": Limit(0.01, "", "at most 0.0025 in probability"),
    "pair_logit": Limit(0.1, "", "at most 0.025 in the probability of the worst pair of a clip"),
    "clip_logit": Limit(0.02, "", "at most 0.005 in the probability of a clip"),
    "verdict_flips": _FLIPS,
}

# What 8 bits may do to logits, floating or whole.
_LOGITS_OF_8_BITS = {
    "classifier_logit_mean": Limit(0.03, "", "at most 0.0075 in probability"),
    "pair_logit_mean": Limit(0.03, "", "at most 0.0075 in probability"),
    "pair_logit": Limit(0.2, "", "at most 0.05 in the probability of the worst pair of a clip"),
    "clip_logit": Limit(0.06, "", "at most 0.015 in the probability of a clip"),
}

# bfloat16 has 8 bits: the flow may move as in float16, since what it would move by most stays in float32.
_BF16 = _FP16 | _LOGITS_OF_8_BITS

# The classifier alone is int8: its flow is that of float32.
_INT8 = {
    "crop_levels": _CROP,
    "flow_max_epe": _FP32["flow_max_epe"],
    "flow_mean_epe": _FP32["flow_mean_epe"],
    **_LOGITS_OF_8_BITS,
    "verdict_flips": _FLIPS,
}

LIMITS = {"fp32": _FP32, "fp16": _FP16, "bf16": _BF16, "int8": _INT8}

# Largest difference of a value inside the graph over its largest size at which a block still counts as
# agreeing; only to find where a difference that the limits above refuse begins.
TENSOR_LIMITS = {
    "fp32": Limit(1e-3, "of the largest", "float32 sums in another order, amplified by a few warps"),
    "fp16": Limit(0.05, "of the largest", "11 bits through tens of layers"),
    "bf16": Limit(0.2, "of the largest", "8 bits through tens of layers"),
    "int8": Limit(0.3, "of the largest", "7 bits and clipped peaks through 13 layers"),
}
