"""Every tolerance of the tests, in one table. To loosen one is a change of its own, with its measurement.

Use: `from tolerances import TOLERANCES` and `TOLERANCES["name"].value`.
"""

from __future__ import annotations

from typing import NamedTuple


class Tolerance(NamedTuple):
    """How far two values may lie apart, in what unit, and why that far."""

    value: float
    unit: str
    reason: str


TOLERANCES: dict[str, Tolerance] = {
    "time_s": Tolerance(1e-9, "s", "a timestamp is a fraction of whole ticks, computed in float64"),
    "mean_of_probabilities": Tolerance(1e-12, "", "sums of a few float64 numbers in another order"),
    "probability": Tolerance(1e-12, "", "a sigmoid or a ratio of a few float64 numbers"),
    "face_score": Tolerance(1e-7, "", "a score of up to 1 that comes in float32"),
    "box_vote_px": Tolerance(1e-3, "px", "candidates that differ by 1e-4 px may move their mean so far"),
    "box_mean_px": Tolerance(1e-5, "px", "a mean in float64 of candidates that come in float32"),
    "box_side_px": Tolerance(1, "px", "the nearest even number is at most 1 px away"),
    "box_centre_px": Tolerance(1.5, "px", "a corner moves by up to 1 px and half the side by up to 0.5 px"),
    "face_shift_px": Tolerance(
        4, "px", "YuNet itself on a face of 230 px moved by no multiple of its stride"
    ),
    "clip_end_frames": Tolerance(1, "frames", "face_shift_px for a head that runs 4 px a frame"),
    "motion_logit": Tolerance(1e-4, "", "a mean of 12,288 differences of up to 255 levels in float32"),
    "header_duration_s": Tolerance(0.01, "s", "MP4 states a duration in whole milliseconds"),
    "lossless_colour_levels": Tolerance(2, "levels", "RGB to YUV 4:4:4 in 8 bits and back rounds twice"),
    "ten_bit_colour_levels": Tolerance(
        3, "levels", "10 to 8 bits adds one rounding to those of the colour matrix"
    ),
    "sample_decoded_levels": Tolerance(
        2.6,
        "levels",
        "mean over a frame; H.264 smooths the rendered sensor noise away, which is 2.1 measured",
    ),
    "flow_colour_levels": Tolerance(1, "levels", "flow_vis cuts to whole levels where the demo rounds"),
    "layer_float32": Tolerance(
        2e-6, "", "sums of up to 64 products of order one, in float32 and another order"
    ),
    "colour_wheel_levels": Tolerance(2, "levels", "the published wheel rounds its table and its result down"),
    "lossless_resize_levels": Tolerance(
        1e-3, "levels", "weights of a bilinear look-up of up to 255 levels, in float32 and another order"
    ),
    "streamed_logit": Tolerance(
        1e-5, "", "a clip at once and pair by pair: float32 convolutions of other batch sizes"
    ),
    "evaluation_figure": Tolerance(
        1e-3, "", "an AUC over tens of files moves by more than this when one pair changes places"
    ),
    "reference_probability": Tolerance(
        1e-5, "", "a tiny model in Keras and in ONNX Runtime, by way of a record file, in float32"
    ),
    "matrix_product": Tolerance(1e-3, "", "float32 sums of 256 products of order one, in another order"),
    "residual_levels": Tolerance(1e-4, "levels", "float32 sums of a few weighted values up to 255"),
    "resize_ramp": Tolerance(1e-4, "", "float32 sums of two weighted values up to 64"),
    "batched_keras_logit": Tolerance(
        1e-4, "", "another batch size takes another path through the convolutions"
    ),
    "float16_features_logit": Tolerance(
        5e-3, "of the largest", "features are cached with 11 bits of mantissa"
    ),
    "float16_flow_px": Tolerance(1e-3, "px", "flow of about 1 px is cached with 11 bits of mantissa"),
    "yunet_box_px": Tolerance(0.1, "px", "YuNet's kernels are stored in fp16; 0.04 % of a box was measured"),
    "yunet_score": Tolerance(1e-3, "", "YuNet's kernels are stored in fp16; 6e-5 was measured"),
    "face_scale": Tolerance(0.1, "of the width", "YuNet itself: 0.08 was measured at half the size"),
    "crop_levels": Tolerance(1e-3, "levels", "float32 sums of up to 200 weighted levels, before rounding"),
    "grid_position": Tolerance(1e-5, "", "GridSample's positions make a round trip through [-1, 1]"),
    "small_graph": Tolerance(1e-5, "", "float32 sums of tens of products of order one, in another order"),
    "flow_px": Tolerance(1e-3, "px", "float32 through a network; a warp amplifies rounding"),
    "other_backend": Tolerance(1e-4, "of the largest", "other libraries sum the same float32 convolutions"),
    "float32_rounding": Tolerance(
        1e-6, "of the value", "a few float32 roundings, of 6e-8 of the value each, one after the other"
    ),
    "queue_mean": Tolerance(
        0.05,
        "of the value",
        "the mean of 60,000 waits that hang together; 0.03 was measured at a load of 0.9",
    ),
    "other_processor_logit": Tolerance(
        1e-4, "", "a tiny model with the convolutions of another processor, which sum in another order"
    ),
    "parity_logit": Tolerance(
        1e-4, "", "a tiny model in Keras and in ONNX Runtime, float32; 2.4e-5 was measured on a sample"
    ),
    "openvino_logit": Tolerance(
        1e-4, "", "the tiny model in two runtimes, float32; 1.3e-6 was measured on random clips"
    ),
    "bf16_runtime_drift": Tolerance(
        1.15,
        "times what rounding every value does",
        "other sums and fewer roundings than the gate's; 1.07 was measured, 1.22 with slopes cut off",
    ),
    "pocock_table": Tolerance(3e-3, "of the value", "the printed table gives three digits"),
    "student_t_table": Tolerance(2e-3, "of the value", "printed tables give four digits of t"),
    "tiny_precision_room": Tolerance(
        20,
        "times the limits for logits",
        "random weights amplify rounding: int8 moved logits of the tiny model by 0.45, trained ones by 0.015",
    ),
    "calibrated_scale": Tolerance(0.05, "of the value", "clipping points are tried in steps of 2.5 %"),
}
