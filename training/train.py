"""Train a classifier or a cnn_lstm on a prepared set, and leave a model folder for `flowtell export`."""

from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np

from flowtell import InputError
from flowtell.training.flow_features import flow_step, pair_flow
from flowtell.training.flow_source import load_flow_network
from flowtell.training.judge_task import JudgeTask
from flowtell.training.models import JoinSettings, TrainedModels, build_classifier, build_clip_head
from flowtell.training.models.model_folder import LEARNED_KEY, SPLIT_KEY, holds_models, write_models
from flowtell.training.prepared_set import PreparedSet, other_crops
from flowtell.training.run_folder import file_sha256, sweep, write_json
from flowtell.training.settings import ClipLSTMSettings, settings_dict
from flowtell.training.splits import split_hashes, split_manifest, video_keys
from flowtell.training.trainer import fit

__all__ = ["MODEL_FOLDER_NAME", "SPLIT_NAME", "TrainingData", "train_judge"]

SPLIT_NAME = "split.json"
MODEL_FOLDER_NAME = "model"
# float16 keeps flow of up to 16 px to 0.008 px; what another network sees differs by tenths.
_SAME_FLOW_PX = 0.05


@dataclass(frozen=True)
class TrainingData:
    """What a classifier is trained on.

    Attributes:
        prepared: a `PreparedSet` with flow.
        parts: dict of `train`, `validation` and `test` to positions in its videos.
        how: dict that says how the parts were made.
    """

    prepared: PreparedSet
    parts: dict
    how: dict


def train_judge(settings, data, folder, network, *, name, licence, imagenet=None, cache=None, progress=None):
    """Train on flow, resume where an earlier call was stopped, and write the model folder.

    Args:
        settings: a `ClassifierSettings` or a `ClipLSTMSettings`.
        data: a `TrainingData`.
        folder: of the run; made if need be. `split.json` says who is in which part, `model/` is what
            `flowtell export` and `flowtell evaluate` take; its calibration stays where its weights do.
        network: folder of the flow network that the set's flow comes from (see `load_flow_network`).
        name: of the model.
        licence: of the model, one line; the terms of the training data decide it.
        imagenet: path of VGG16's weights without the top; None starts from random convolutions.
        cache: folder of cached features that several runs may share; None: inside the run.
        progress: see `fit`.

    Returns:
        (a `FitResult`, the `JudgeTask`).

    Raises:
        InputError: the set's flow is not the network's, an input is missing or unfit, or as `fit`.
    """
    folder = Path(folder)
    flow_network = load_flow_network(network)
    _require_same_flow(data.prepared, flow_network)
    if imagenet is None and settings.width == 1:
        raise InputError("VGG16 needs its ImageNet weights: give the file of Keras's VGG16 without the top")
    manifest = split_manifest(data.prepared, data.parts, data.how)
    kind = "cnn_lstm" if isinstance(settings, ClipLSTMSettings) else "classifier"
    claimed = {
        "model": kind,
        "settings": settings_dict(settings),
        "split": manifest,
        "imagenet": None if imagenet is None else _hash(imagenet),
    }
    cache = cache or folder / "features"
    try:
        task = JudgeTask(settings, data.prepared, data.parts, cache, imagenet)
    except OSError as error:
        raise InputError(
            f"the features in '{cache}' cannot be written: {error.strerror or error}; make room and run the "
            "same command again to go on"
        ) from error
    judged = {data.prepared.videos[position].label for position in task.validated}
    if settings.fit.keep == "validation" and judged != {0, 1}:
        raise InputError(
            f"validation_steps = {settings.validation_steps} judges videos of one class only, which says "
            "nothing of the best weights: raise it, or set keep to 'training_loss' or 'last'"
        )
    result = fit(task, settings.fit, folder, claimed, progress)
    write_json(folder / SPLIT_NAME, manifest)
    split = split_hashes(manifest) | {LEARNED_KEY: video_keys(data.prepared, data.parts["train"])}
    stated = {"name": name, "licence": licence, SPLIT_KEY: split}
    _write_model(settings, data.prepared, folder, flow_network, task, result, kind, stated)
    return result, task


def _hash(path):
    try:
        return file_sha256(path)
    except OSError as error:
        raise InputError(f"the ImageNet weights '{path}' cannot be read: {error.strerror}") from error


def _require_same_flow(prepared, network):
    stored = prepared.flow(0)[0].astype(np.float32)
    clip = prepared.clips(0)[0]
    ours = pair_flow(flow_step(network), clip[:-1], clip[1:], batch_size=4).astype(np.float32)
    if ours.shape != stored.shape or np.abs(ours - stored).max() > _SAME_FLOW_PX:
        raise InputError(
            f"the flow in '{prepared.folder}' is not that of this flow network: prepare again with --flow "
            "and the network, or give the one it was made with"
        )


def _write_model(settings, prepared, folder, network, task, result, kind, stated):
    """Join the kept weights, in float32, with the flow network."""
    trained = task.networks["classifier"]
    classifier = build_classifier(replace(trained.config))
    classifier.load_weights(folder / "classifier.weights.h5")
    clip_head = None
    if kind == "cnn_lstm":
        clip_head = build_clip_head(settings.lstm, classifier.hidden_width)
        clip_head.load_weights(folder / "clip_head.weights.h5")
    join = JoinSettings(settings.encoding, prepared.crop_size)
    models = TrainedModels(network, classifier, join, clip_head)
    sweep(folder / MODEL_FOLDER_NAME)
    if holds_models(folder / MODEL_FOLDER_NAME, models):
        # the run had ended before; what was calibrated or written into its papers since stays
        return
    learned = len(stated[SPLIT_KEY][LEARNED_KEY])
    thresholds = [
        {"fake_probability": 0.5, "operating_point": "not calibrated yet: flowtell evaluate --calibrate"}
    ]
    best = next((row for row in result.history if row["step"] == result.best_step), result.history[-1])
    name, licence = stated["name"], stated["licence"]
    facts = stated | {
        "pairs_per_clip": prepared.pairs_per_clip,
        "crop_margin": prepared.index["settings"]["crop_margin"],
        "thresholds": thresholds,
        "training_data": [
            {"name": f"{learned} videos of the set, index {prepared.sha256()[:16]}", "terms": licence}
        ],
        "certificates": [],
    }
    figures = ", ".join(f"{k} {v:.4g}" for k, v in best.items() if k not in ("epoch", "step"))
    card = (
        f"# {name}\n\nA {kind} trained by flowtell on {learned} videos of a set of "
        f"{len(prepared.videos)} (Keras {keras.__version__}). Kept: step {result.best_step} ({figures}). "
        "It has not been evaluated on people it never saw: flowtell evaluate does that.\n"
    )
    note = other_crops(prepared)
    if note:
        card += f"\nOf the set that it was trained on: {note}.\n"
    papers = {
        "MODEL_CARD.md": card,
        "LICENSE": f"{licence}\n",
        "NOTICE": "A bundle's face detector is YuNet (MIT); VGG16's ImageNet weights are CC BY 4.0.\n",
    }
    write_models(folder / MODEL_FOLDER_NAME, models, facts, papers)
