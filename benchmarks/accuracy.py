"""Whether a detector says what the reference says, looked at before anything is timed and after it was."""

from dataclasses import dataclass

import numpy as np

__all__ = ["LIMITS", "Accuracy", "compare_outputs", "count_wrong", "reference_logits"]

LIMITS = {"fp32": 2e-3, "fp16": 0.05, "bf16": 0.2, "int8": 0.25}
"""Largest difference of a pair's logit that counts as the same output."""


@dataclass(frozen=True)
class Accuracy:
    """How far a detector's outputs lie from the reference's.

    Attributes:
        reference: what it was compared with.
        samples: how many were compared.
        largest_logit_difference: over the logits of all pairs and clips.
        verdict_flips: samples whose clip logit lies on the other side of the bundle's threshold.
        limit: largest difference allowed.
    """

    reference: str
    samples: int
    largest_logit_difference: float
    verdict_flips: int
    limit: float

    @property
    def passed(self):
        """Whether speed means anything."""
        return self.largest_logit_difference <= self.limit and not self.verdict_flips


def reference_logits(bundle_folder, clips):
    """Return `(name, outputs)` of the Keras models rebuilt from the bundle, as `clip_outputs` gives them.

    Raises:
        ImportError: where Keras or the export is not installed.
    """
    import keras

    from flowtell.export import keras_from_bundle

    model = keras_from_bundle(bundle_folder).detector()
    outputs = []
    for clip in clips:
        judged = model.predict_on_batch(clip[None])
        pairs, whole = (keras.ops.convert_to_numpy(judged[key]) for key in ("pair_logits", "clip_logit"))
        outputs.append(np.append(pairs[0], whole[0]))
    return f"Keras {keras.__version__} on {keras.backend.backend()}, rebuilt from the bundle", outputs


def compare_outputs(wanted, got, precision, threshold, reference):
    """Return the `Accuracy` of outputs.

    Args:
        wanted: outputs of the reference, float32 `[T + 1]` a sample: its pairs' logits, then the clip's.
        got: the same of the detector.
        precision: that the detector computes in, a key of `LIMITS`.
        threshold: probability above which the bundle says fake.
        reference: its name.
    """
    largest = max(float(np.abs(w - g).max()) for w, g in zip(wanted, got, strict=True))
    with np.errstate(divide="ignore"):
        # of 0 and of 1 it lies beyond every logit
        cut = np.log(np.float64(threshold)) - np.log1p(-np.float64(threshold))
    flips = sum(bool((w[-1] > cut) != (g[-1] > cut)) for w, g in zip(wanted, got, strict=True))
    return Accuracy(reference, len(wanted), largest, flips, LIMITS[precision])


def count_wrong(rounds, wanted, precision):
    """Return how many timed samples came out other than the reference says."""
    return sum(
        not np.abs(output - wanted[sample]).max() <= LIMITS[precision]
        for r in rounds
        for query in r.queries
        for sample, output in zip(query.samples, query.outputs, strict=True)
    )
