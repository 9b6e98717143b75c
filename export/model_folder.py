"""Model folders: what training leaves and export reads.

A model folder holds

* ``flow.weights.h5`` and ``classifier.weights.h5``: what Keras's ``save_weights`` writes of the two models;
* ``model.json``: ``format`` (1), the models' settings (``flow``, ``classifier``, ``settings``: what
  ``TrainedModels.to_dict`` gives) and ``facts``: what the bundle's manifest is to say beside its graphs
  (the fields of ``BundleFacts``);
* ``MODEL_CARD.md``, ``LICENSE`` and ``NOTICE``, which go into the bundle as they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from flowtell import InputError
from flowtell.export._bundle_folder import PAPERS, read_papers
from flowtell.export.bundle_facts import BundleFacts, OperatingPoint, TrainingSource
from flowtell.export.trained_models import JoinSettings, TrainedModels
from flowtell.training.models import ClassifierConfig, FlowNetworkConfig

__all__ = ["read_model_folder", "write_model_folder"]

FORMAT = 1
DESCRIPTION_NAME = "model.json"
FLOW_WEIGHTS_NAME = "flow.weights.h5"
CLASSIFIER_WEIGHTS_NAME = "classifier.weights.h5"


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
    missing = [name for name in PAPERS if name not in papers]
    if missing:
        raise InputError(f"a model folder needs {', '.join(PAPERS)}; {', '.join(missing)} is missing")
    folder.mkdir(parents=True, exist_ok=True)
    models.network.save_weights(folder / FLOW_WEIGHTS_NAME)
    models.classifier.save_weights(folder / CLASSIFIER_WEIGHTS_NAME)
    for name in PAPERS:
        (folder / name).write_text(papers[name], encoding="utf-8")
    described = {"format": FORMAT, **models.to_dict(), "facts": asdict(facts)}
    (folder / DESCRIPTION_NAME).write_text(json.dumps(described, indent=2, ensure_ascii=False) + "\n")


def read_model_folder(folder: Path) -> tuple[TrainedModels, BundleFacts, dict[str, str]]:
    """Read a model folder; return the models, the facts and the papers.

    Raises:
        InputError: a file is missing or is no text, ``model.json`` is not what this version writes, or
            weights do not fit it.
    """
    described = _description(folder)
    try:
        models = TrainedModels.build(
            FlowNetworkConfig.from_dict(described["flow"]),
            ClassifierConfig.from_dict(described["classifier"]),
            JoinSettings(**described["settings"]),
        )
        facts = _facts(described["facts"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"'{folder / DESCRIPTION_NAME}' does not describe a model: {error!r}") from error
    for model, name in (
        (models.network, FLOW_WEIGHTS_NAME),
        (models.classifier, CLASSIFIER_WEIGHTS_NAME),
    ):
        _require_file(folder / name)
        try:
            model.load_weights(folder / name)
        except (OSError, ValueError) as error:
            raise InputError(f"'{folder / name}' does not fit {DESCRIPTION_NAME}: {error}") from error
    return models, facts, read_papers(folder)


def _description(folder: Path) -> dict:
    path = folder / DESCRIPTION_NAME
    _require_file(path)
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"'{path}' is not JSON: {error}") from error
    found = described.get("format") if isinstance(described, dict) else None
    if found != FORMAT:
        raise InputError(f"'{path}' has format {found!r}; this flowtell reads format {FORMAT}: train again")
    return described


def _facts(values: dict) -> BundleFacts:
    lists = {
        "thresholds": tuple(OperatingPoint(**point) for point in values["thresholds"]),
        "training_data": tuple(TrainingSource(**source) for source in values["training_data"]),
        "certificates": tuple(values["certificates"]),
    }
    return BundleFacts(**{**values, **lists})


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"there is no '{path}': give a model folder that training wrote, or a bundle")
