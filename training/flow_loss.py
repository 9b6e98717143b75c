"""The multi-scale loss of PWC-Net and the errors that flow is judged by."""

import numpy as np
from keras import ops

__all__ = ["LEVEL_WEIGHTS", "epe", "fl_all", "multiscale_loss"]

# Section 4 of the paper, levels 6, 5, 4, 3, 2: the order in which the network returns its flows.
LEVEL_WEIGHTS = (0.32, 0.08, 0.02, 0.01, 0.005)
# The robust form of section 4, for fine-tuning: (|error| + 0.01) ** 0.4.
ROBUST_EPSILON, ROBUST_EXPONENT = 0.01, 0.4


def multiscale_loss(target, flows, divisor, robust=False):
    """Return the weighted sum over levels of the end-point error, a scalar per batch.

    Args:
        target: float32 `[N, H/4, W/4, 2]`, the true flow averaged to level 2, in px of the full size.
        flows: the network's flows of levels 6 to 2, `[N, H/2**l, W/2**l, 2]`, in px of the full size over
            `divisor`.
        divisor: what the flows were divided by.
        robust: whether each error e becomes `(e + 0.01) ** 0.4`, which lets small errors count in
            fine-tuning.

    Returns:
        scalar: sum over levels and pixels, mean over the batch, as the paper sums it.
    """
    target = target / divisor
    total = 0.0
    for weight, flow in zip(LEVEL_WEIGHTS, flows, strict=True):
        factor = target.shape[1] // flow.shape[1]
        level_target = ops.average_pool(target, factor, factor) if factor > 1 else target
        # The root of exactly zero has no gradient.
        error = ops.sqrt(ops.sum(ops.square(ops.cast(flow, "float32") - level_target), axis=-1) + 1e-12)
        if robust:
            error = (error + ROBUST_EPSILON) ** ROBUST_EXPONENT
        total = total + weight * ops.mean(ops.sum(error, axis=(1, 2)))
    return total


def epe(flow, truth, valid=None):
    """Return the mean end-point error in px over the valid pixels.

    Args:
        flow: float `[..., H, W, 2]` in px.
        truth: the same shape and unit.
        valid: bool `[..., H, W]`; None for all.

    Raises:
        ValueError: if no pixel is valid.
    """
    return float(np.mean(_errors(flow, truth, valid)[0]))


def fl_all(flow, truth, valid=None):
    """Return the percentage of valid pixels wrong by more than 3 px and 5 % of the true length (KITTI 2015).

    Args:
        flow: float `[..., H, W, 2]` in px.
        truth: the same shape and unit.
        valid: bool `[..., H, W]`; None for all.

    Raises:
        ValueError: if no pixel is valid.
    """
    error, length = _errors(flow, truth, valid)
    return float(100 * np.mean((error > 3) & (error > 0.05 * length)))


def _errors(flow, truth, valid):
    valid = np.ones(truth.shape[:-1], bool) if valid is None else valid
    if not valid.any():
        raise ValueError("no pixel with a known flow to compare")
    truth = np.where(valid[..., None], truth, 0)
    error = np.linalg.norm(flow - truth, axis=-1)
    return error[valid], np.linalg.norm(truth, axis=-1)[valid]
