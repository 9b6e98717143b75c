"""Model folders with a manifest's facts; `flowtell.training.models.model_folder` states the format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from flowtell import InputError
from flowtell.export._bundle_folder import read_papers
from flowtell.export.bundle_facts import BundleFacts, LeastEvidence, OperatingPoint, TrainingSource
from flowtell.export.trained_models import TrainedModels
from flowtell.training.models.model_folder import SPLIT_KEY, read_models, write_models

__all__ = ["read_model_folder", "write_model_folder"]


def write_model_folder(
    folder: Path, models: TrainedModels, facts: BundleFacts, papers: Mapping[str, str]
) -> None:
    """Write a model folder; made if need be, files of the same names are replaced.

    Args:
        folder: where to.
        models: the trained models.
        facts: what the bundle's manifest is to say beside its graphs.
        papers: file name to text for ``MODEL_CARD.md``, ``LICENSE`` and ``NOTICE``.

    Raises:
        InputError: a paper is missing.
    """
    write_models(folder, models, asdict(facts), papers)


def read_model_folder(folder: Path) -> tuple[TrainedModels, BundleFacts, dict[str, str]]:
    """Read a model folder; return the models, the facts and the papers.

    Raises:
        InputError: a file is missing or is no text, ``model.json`` is not what this version writes, or
            weights do not fit it.
    """
    models, values = read_models(folder)
    try:
        facts = _facts(values)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"the facts in '{folder / 'model.json'}' are malformed: {error!r}") from error
    return models, facts, read_papers(folder)


def _facts(values: dict) -> BundleFacts:
    parsed = {
        "thresholds": tuple(OperatingPoint(**point) for point in values["thresholds"]),
        "training_data": tuple(TrainingSource(**source) for source in values["training_data"]),
        "certificates": tuple(values["certificates"]),
        # folders that were written before it, or by training, do not state it
        "least_evidence": LeastEvidence(**(values.get("least_evidence") or {})),
    }
    of_bundle = {name: value for name, value in values.items() if name != SPLIT_KEY}
    return BundleFacts(**{**of_bundle, **parsed})
