"""The verdict gate: a precision is judged against the Keras models, and certified or refused with figures."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import onnx

import flowtell
from flowtell import Bundle, FlowtellError
from flowtell._onnxruntime import load_onnxruntime
from flowtell.export.bisect import Difference, first_difference
from flowtell.export.gate_clips import GateClip
from flowtell.export.graphs import detector_graph
from flowtell.export.limits import LIMITS, TENSOR_LIMITS, Limit
from flowtell.export.parity import Comparison, Side, beyond_limits, compare, first_stage_beyond, graph_side
from flowtell.export.passes.round_halves import round_halves
from flowtell.export.precision import HALVES
from flowtell.export.storage import float32_storage
from flowtell.export.trained_models import TrainedModels

__all__ = ["GateRefusedError", "Verdict", "cpu_class", "judge_precision"]

# What the figures of two-byte floats were computed with: see `round_halves`.
_HALF_ARITHMETIC = "every {type} value rounded to {bits} bits, sums in float32"


LimitTable = Mapping[str, Mapping[str, Limit]]


class GateRefusedError(FlowtellError):
    """A precision drifts past its limits, or changes a verdict."""


@dataclass(frozen=True, eq=False)
class Verdict:
    """What the gate found of one precision.

    Attributes:
        precision: ``fp32``, ``fp16``, ``bf16`` or ``int8``.
        comparison: the figures, and the clips they are worst on.
        limits: of each figure.
        beyond: names of the figures that exceed their limit; none where the precision passes.
        stage: the first stage with such a figure, or None.
        difference: where inside the graph the difference begins, or None where it was not looked for or none
            of the graph's own values stands out.
        detector_sha256: of the graph that was judged.
    """

    precision: str
    comparison: Comparison
    limits: Mapping[str, Limit]
    beyond: list[str]
    stage: str | None
    difference: Difference | None
    detector_sha256: str

    def require_pass(self) -> None:
        """Do nothing where the precision passes.

        Raises:
            GateRefusedError: it does not; the message says by how much, on what, and where it begins.
        """
        if not self.beyond:
            return
        values = asdict(self.comparison.figures)
        figures = ", ".join(f"{n} {values[n]:.3g} (limit {self.limits[n].value:g})" for n in self.beyond)
        worst = self.comparison.worst_clip
        where = f"; {self.difference}" if self.difference else ""
        raise GateRefusedError(
            f"{self.precision} does not pass at the stage '{self.stage}': {figures}; worst clip: {worst.name}"
            f"{where}"
        )

    def certificate(self, against: str) -> dict[str, object]:
        """Return what the manifest keeps of it.

        Args:
            against: what the bundle was compared with, in words.
        """
        found: dict[str, object] = {
            "precision": self.precision,
            "detector_sha256": self.detector_sha256,
            "against": against,
            "provider": "CPUExecutionProvider",
            "cpu": cpu_class(),
            # of the modules: the distribution that brings one may have another name, as onnxruntime-gpu
            "versions": {
                module.__name__: module.__version__ for module in (flowtell, keras, load_onnxruntime())
            },
            "figures": asdict(self.comparison.figures),
            "limits": {name: limit.value for name, limit in self.limits.items()},
        }
        half = HALVES.get(self.precision)
        if half is None:
            return found
        return found | {"arithmetic": _HALF_ARITHMETIC.format(type=half.dtype, bits=half.bits)}


def judge_precision(
    models: TrainedModels,
    bundle: Bundle,
    precision: str,
    clips: Sequence[GateClip],
    limits: LimitTable = LIMITS,
    wanted: Side | None = None,
) -> Verdict:
    """Compare one of a bundle's detectors with Keras models, and look for the fault where it does not pass.

    fp16 and bf16 are computed with every value rounded to their type's bits: ONNX Runtime's CPU provider
    would compute the one in float32 and refuses the other.

    Args:
        models: the Keras side.
        bundle: the other side.
        precision: which of its detectors.
        clips: what both judge.
        limits: for each precision, what its figures may be.
        wanted: as for `flowtell.export.parity.compare`.

    Raises:
        InputError: there is no clip, or the two sides do not belong together.
        flowtell.BundleError: the bundle has no such detector.
    """
    graph = onnx.load_model_from_string(bundle.read_graph("detector", precision))
    candidate = round_halves(graph) if precision in HALVES else graph
    side = graph_side(candidate) if precision in HALVES else None
    comparison = compare(models, bundle, clips, precision, side, wanted)
    beyond = beyond_limits(comparison.figures, limits[precision])
    stage = first_stage_beyond(beyond)
    difference = None
    if stage not in (None, "crop"):
        worst = comparison.worst_flow
        frames = worst.clip.frames[worst.pair : worst.pair + 2]
        reference = _reference_graph(models, bundle, precision)
        difference = first_difference(reference, candidate, frames, TENSOR_LIMITS[precision].value)
    sha256 = bundle.manifest.graphs["detector"][precision].sha256
    return Verdict(precision, comparison, limits[precision], beyond, stage, difference, sha256)


def _reference_graph(models: TrainedModels, bundle: Bundle, precision: str) -> onnx.ModelProto:
    """Return the graph that a faulty one is compared with, value by value.

    A derived detector is compared with the one it was derived from, whose values have the same names; that
    one with a fresh export of the models, in which tf2onnx may have named a few values otherwise.
    """
    if precision == "fp32":
        return detector_graph(models, float32_storage)
    return onnx.load_model_from_string(bundle.read_graph("detector"))


def cpu_class() -> str:
    """Return this CPU's name and the widest vector instructions it has, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = dict(line.split(":", 1) for line in reversed(lines) if ":" in line)
    facts = {key.strip(): value.strip() for key, value in facts.items()}
    flags = facts.get("flags", "").split()
    widest = [flag for flag in ("avx512_vnni", "avx_vnni", "avx512f", "avx2") if flag in flags]
    return f"{facts.get('model name', platform.machine())}, {widest[0] if widest else 'no avx2'}"
