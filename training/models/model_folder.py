"""Model folders: what training leaves, and export and evaluation read.

A model folder holds

* ``flow.weights.h5``, ``classifier.weights.h5`` and, where the model has a temporal head,
  ``clip_head.weights.h5``: what Keras's ``save_weights`` writes of each;
* ``model.json``: ``format`` (1), the models' settings (what ``TrainedModels.to_dict`` gives) and ``facts``:
  what the bundle's manifest is to say beside its graphs (the fields of ``flowtell.export.BundleFacts``), and
  ``split``, which split it was trained by, as ``split_hashes`` says it, and in ``learned_from`` the
  ``video_keys`` of its part train: of use to evaluation alone, and not always there;
* ``MODEL_CARD.md``, ``LICENSE`` and ``NOTICE``, which go into the bundle as they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from flowtell import InputError
from flowtell.training.models.trained_models import TrainedModels
from flowtell.training.run_folder import whole_file

__all__ = [
    "DESCRIPTION_NAME",
    "LEARNED_KEY",
    "PAPERS",
    "SPLIT_KEY",
    "holds_models",
    "read_models",
    "update_facts",
    "write_models",
]

FORMAT = 1
DESCRIPTION_NAME = "model.json"
# Of the facts the one that no manifest has: who was trained on is the run's affair.
SPLIT_KEY = "split"
LEARNED_KEY = "learned_from"
# What a reader of a model is owed besides its weights.
PAPERS = ("MODEL_CARD.md", "LICENSE", "NOTICE")


def write_models(
    folder: Path, models: TrainedModels, facts: Mapping[str, object], papers: Mapping[str, str]
) -> None:
    """Write a model folder; made if need be. What is there is replaced once all is written, or stays.

    Args:
        folder: where to.
        models: the trained models.
        facts: what the bundle's manifest is to say beside its graphs, as JSON can hold it.
        papers: file name to text for ``MODEL_CARD.md``, ``LICENSE`` and ``NOTICE``.

    Raises:
        InputError: a paper is missing.
        OSError: it cannot be written.
    """
    missing = [name for name in PAPERS if name not in papers]
    if missing:
        raise InputError(f"a model folder needs {', '.join(PAPERS)}; {', '.join(missing)} is missing")
    folder.mkdir(parents=True, exist_ok=True)
    described = {"format": FORMAT, **models.to_dict(), "facts": facts}
    text = json.dumps(described, indent=2, ensure_ascii=False) + "\n"
    with ExitStack() as files:
        # files take their names in reverse, once all of them are written: what was entered first is last
        for name, content in ((DESCRIPTION_NAME, text), *((name, papers[name]) for name in PAPERS)):
            files.enter_context(whole_file(folder / name)).write_text(content, encoding="utf-8")
        for name, model in _weight_files(models).items():
            model.save_weights(files.enter_context(whole_file(folder / name)))
        # a kill from here on leaves a folder that is refused, not the parts of two models
        (folder / DESCRIPTION_NAME).unlink(missing_ok=True)


def read_models(folder: Path) -> tuple[TrainedModels, dict]:
    """Read a model folder; return the models and the facts, as ``model.json`` has them.

    Raises:
        InputError: a file is missing, ``model.json`` is not what this version writes, or weights do not fit.
    """
    path = folder / DESCRIPTION_NAME
    described = _description(path)
    try:
        models = TrainedModels.from_dict(described)
        facts = dict(described["facts"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"'{path}' does not describe a model: {error!r}") from error
    for name, model in _weight_files(models).items():
        _require_file(folder / name)
        try:
            model.load_weights(folder / name)
        except (OSError, ValueError) as error:
            raise InputError(f"'{folder / name}' does not fit {DESCRIPTION_NAME}: {error}") from error
    return models, facts


def holds_models(folder: Path, models: TrainedModels) -> bool:
    """Tell whether a folder is a whole model folder with the very weights of these models.

    Args:
        folder: the model folder; need not exist.
        models: the models, whatever their temperature, which may have been calibrated since.
    """
    try:
        held, _ = read_models(folder)
    except InputError:
        return False
    settings = replace(models.settings, temperature=held.settings.temperature)
    if held.to_dict() != replace(models, settings=settings).to_dict():
        return False
    pairs = zip(held.variables(), models.variables(), strict=True)
    return all((folder / name).is_file() for name in PAPERS) and all(
        np.array_equal(np.asarray(ours), np.asarray(theirs)) for ours, theirs in pairs
    )


def update_facts(folder: Path, temperature: float, thresholds: list[dict]) -> None:
    """Write another temperature and other thresholds into a model folder's description.

    Args:
        folder: the model folder.
        temperature: that logits are divided by.
        thresholds: list of ``{"fake_probability", "operating_point"}``, that of verdicts first.

    Raises:
        InputError: there is no model folder of this version.
    """
    path = folder / DESCRIPTION_NAME
    described = _description(path)
    described["settings"]["temperature"] = temperature
    described["facts"]["thresholds"] = thresholds
    with whole_file(path) as scratch:
        scratch.write_text(json.dumps(described, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _weight_files(models: TrainedModels) -> dict[str, keras.Model]:
    files = {"flow.weights.h5": models.network, "classifier.weights.h5": models.classifier}
    return files if models.clip_head is None else {**files, "clip_head.weights.h5": models.clip_head}


def _description(path: Path) -> dict:
    _require_file(path)
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"'{path}' is not JSON: {error}") from error
    found = described.get("format") if isinstance(described, dict) else None
    if found != FORMAT:
        raise InputError(f"'{path}' has format {found!r}; this flowtell reads format {FORMAT}: train again")
    return described


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"there is no '{path}': give a model folder that training wrote, or a bundle")
