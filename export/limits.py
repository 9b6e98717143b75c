"""How far a bundle may lie from its Keras models: one table, each limit with its reason."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FP32_LIMITS", "Limit"]


@dataclass(frozen=True)
class Limit:
    """The largest value a figure may have, its unit, and why it is that."""

    value: float
    unit: str
    reason: str


# float32 against float32: the same arithmetic in another order. Figures are those of `parity.Figures`.
FP32_LIMITS = {
    "flow_max_epe": Limit(
        1e-3, "px", "a warp amplifies rounding where features change quickly; 1e-4 is usual"
    ),
    "flow_mean_epe": Limit(1e-4, "px", "without single outliers the two agree to the sixth digit"),
    "classifier_probability": Limit(1e-5, "", "identical flow in, so only the order of VGG16's sums differs"),
    "pair_probability": Limit(1e-3, "", "flow differences pass through the colour wheel, whose hue jumps"),
    "verdict_flips": Limit(0, "clips", "what users are told may not depend on who computed it"),
}
