"""Bundles from Keras models, and Keras models back from bundles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import onnx

from flowtell import Bundle, InputError
from flowtell.export._bundle_folder import read_papers, require_replaceable, write_bundle_folder
from flowtell.export._graph_builder import save
from flowtell.export.bundle_facts import BundleFacts, OperatingPoint, TrainingSource
from flowtell.export.graphs import classifier_graph, detector_graph, flow_graph
from flowtell.export.storage import STORAGE_PLANS
from flowtell.export.trained_models import TrainedModels, models_from_graph

__all__ = ["export_classifier", "export_flow", "facts_from_bundle", "keras_from_bundle", "write_bundle"]


def write_bundle(
    folder: Path,
    models: TrainedModels,
    facts: BundleFacts,
    papers: Mapping[str, str],
    storage: str = "compact",
) -> None:
    """Export models into a bundle folder: it appears whole or not at all.

    The bundle holds ``faces.onnx``, ``cuts.onnx``, ``crop.onnx`` and ``detector.onnx``. The two networks on
    their own can be made from it (`export_flow`, `export_classifier`): it stores one copy of the weights.

    Args:
        folder: where to; absent, empty, or a bundle that is to be replaced.
        models: what to export.
        facts: what the manifest says beside the graphs; at least one threshold.
        papers: file name to text for ``MODEL_CARD.md``, ``LICENSE`` and ``NOTICE``.
        storage: how the weights are stored: ``compact`` (int8 and fp16) or ``float32``.

    Raises:
        InputError: the folder holds something that is no bundle, or a paper or a threshold is missing.
        KeyError: there is no such storage.
    """
    if not facts.thresholds:
        raise InputError("a bundle with a detector needs a threshold: give at least one operating point")
    plan = STORAGE_PLANS[storage]
    require_replaceable(Path(folder))  # said before minutes of work, not after
    write_bundle_folder(
        folder,
        facts,
        crop_size=models.settings.crop_size,
        flow_encoding=models.settings.flow_encoding,
        weights_storage=plan.description,
        temperature=models.settings.temperature,
        graphs={"detector": {"fp32": detector_graph(models, plan.choose)}},
        papers=papers,
    )


def keras_from_bundle(folder: Path) -> TrainedModels:
    """Rebuild the Keras models from a bundle's ``detector.onnx``, weights as the graph widens them.

    Raises:
        flowtell.BundleError: the bundle cannot be read or was altered.
        InputError: its detector was not written by this package.
    """
    data = Bundle.open(folder).read_graph("detector")
    try:
        return models_from_graph(onnx.load_model_from_string(data))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = error if isinstance(error, InputError) else f"its settings are malformed: {error!r}"
        raise InputError(f"no Keras models can be rebuilt from the bundle '{folder}': {reason}") from error


def facts_from_bundle(folder: Path) -> tuple[BundleFacts, dict[str, str]]:
    """Return what a bundle's manifest says beside its graphs, and its papers.

    Raises:
        flowtell.BundleError: the manifest cannot be read.
        InputError: a paper is missing, or is no text in UTF-8.
    """
    manifest = Bundle.open(folder).manifest
    facts = BundleFacts(
        name=manifest.name,
        licence=manifest.licence,
        pairs_per_clip=manifest.pairs_per_clip,
        crop_margin=manifest.crop_margin,
        face_score_threshold=manifest.face_score_threshold,
        thresholds=tuple(OperatingPoint(t.fake_probability, t.operating_point) for t in manifest.thresholds),
        training_data=tuple(TrainingSource(source.name, source.terms) for source in manifest.training_data),
        certificates=tuple(json.loads(json.dumps(dict(c))) for c in manifest.certificates),
        least_evidence=manifest.least_evidence,
    )
    return facts, read_papers(Path(folder))


def export_flow(models: TrainedModels, path: Path, storage: str = "float32") -> None:
    """Write the flow network on its own, ``flow.onnx``; arguments and errors as for `write_bundle`."""
    save(flow_graph(models, STORAGE_PLANS[storage].choose), path)


def export_classifier(models: TrainedModels, path: Path, storage: str = "float32") -> None:
    """Write the classifier on its own, ``classifier.onnx``; arguments and errors as for `write_bundle`."""
    save(classifier_graph(models, STORAGE_PLANS[storage].choose), path)
