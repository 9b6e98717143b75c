"""A bundle with more precisions and their certificates, from one that stores a single copy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import onnx

from flowtell import Bundle, InputError
from flowtell.export._bundle_folder import require_replaceable, write_bundle_folder
from flowtell.export._stages import StageLog
from flowtell.export.bundle import facts_from_bundle, keras_from_bundle
from flowtell.export.bundle_facts import BundleFacts
from flowtell.export.gate import LimitTable, judge_precision
from flowtell.export.gate_clips import clips_of_files
from flowtell.export.limits import LIMITS
from flowtell.export.parity import keras_side
from flowtell.export.precision import derived_detector

__all__ = ["derive_bundle"]

_AGAINST = "Keras models rebuilt from the fp32 detector's own weights"
# One clip in so many calibrates int8; the gate judges them all.
_CALIBRATION_STEP = 4


def derive_bundle(
    source: Path,
    folder: Path,
    precisions: Sequence[str],
    videos: Sequence[Path],
    clips_per_file: int = 4,
    pairs: int = 16,
    log: StageLog | None = None,
    limits: LimitTable = LIMITS,
) -> None:
    """Write a bundle again with detectors in more precisions, each of which passed the gate.

    The graphs up to the crop and the fp32 detector are copied byte for byte, and so are detectors that the
    source holds in precisions which are not named. Every detector of the new bundle is compared with the
    Keras models on the clips and gets a certificate, fp32 too, but for copied ones that the source certifies:
    they keep theirs. Nothing is written where one does not pass.

    Args:
        source: a bundle that this package wrote; may be ``folder``.
        folder: where to; absent, empty, or a bundle that is to be replaced.
        precisions: any of ``fp16``, ``bf16`` and ``int8``, or none; what the source holds in
            them is derived anew.
        videos: files, or folders of files, to calibrate and to judge on.
        clips_per_file: at most so many face clips of each video.
        pairs: at most so many frame pairs of each clip.
        log: told of each stage.
        limits: for each precision, what the gate's figures may be.

    Raises:
        GateRefusedError: a precision drifts past its limits or changes a verdict.
        InputError: a video or a paper is missing, or the folder holds something that is no bundle.
        flowtell.BundleError: the source cannot be read.
    """
    log = log or StageLog()
    require_replaceable(Path(folder))
    bundle = Bundle.open(source)
    facts, papers = facts_from_bundle(source)
    with log.stage("rebuild the Keras models"):
        models = keras_from_bundle(source)
    with log.stage("cut face clips"):
        clips = list(clips_of_files(videos, bundle, clips_per_file, pairs))
    if not clips:
        raise InputError("no face clip was found to compare on: give videos with faces of 64 px and more")
    stored = bundle.read_graph("detector")
    detectors: dict[str, onnx.ModelProto | bytes] = {
        held: bundle.read_graph("detector", held)
        for held in bundle.precisions("detector")
        if held not in precisions
    }
    kept = {held: _certificates(facts, bundle, held) for held in detectors if held != "fp32"}
    for precision in precisions:
        with log.stage(f"derive {precision}"):
            frames = [clip.frames for clip in clips[::_CALIBRATION_STEP]]
            detectors[precision] = derived_detector(stored, precision, frames)
    others = {
        name: {"fp32": bundle.read_graph(name)} for name in bundle.manifest.graphs if name != "detector"
    }

    def gate(new: Bundle) -> list[dict[str, object]]:
        certificates, wanted = [], keras_side(models)
        for precision in detectors:
            if kept.get(precision):
                continue
            with log.stage(f"gate {precision}"):
                verdict = judge_precision(models, new, precision, clips, limits, wanted)
            verdict.require_pass()
            certificates.append(verdict.certificate(_AGAINST))
        return certificates

    write_bundle_folder(
        folder,
        replace(facts, certificates=tuple(c for found in kept.values() for c in found)),
        crop_size=bundle.manifest.crop_size,
        flow_encoding=bundle.manifest.flow_encoding,
        weights_storage=bundle.manifest.weights_storage,
        temperature=bundle.manifest.temperature,
        graphs={"detector": detectors, **others},
        papers=papers,
        gate=gate,
    )


def _certificates(facts: BundleFacts, bundle: Bundle, precision: str) -> list[dict[str, object]]:
    """Return what a bundle's manifest certifies of the very detector that it holds in a precision."""
    sha256 = bundle.manifest.graphs["detector"][precision].sha256
    stated = {"precision": precision, "detector_sha256": sha256}
    return [c for c in facts.certificates if stated.items() <= c.items()]
