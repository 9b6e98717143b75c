"""The recipe of the default detector: from labelled videos to trained networks and their quality.

Each stage writes into the folder of the run, by the same functions that the commands call. The long ones
resume where they stopped, and refuse a folder that other settings or weights have filled.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from flowtell.training.flow_batches import TeacherPairs
from flowtell.training.flow_quality import middlebury_errors, teacher_distance
from flowtell.training.flow_source import load_flow_network
from flowtell.training.flow_task import train_flow
from flowtell.training.judge_task import JudgeTask
from flowtell.training.labels import identity_folds
from flowtell.training.prepare import PrepareSettings, prepare
from flowtell.training.prepared_set import PreparedSet
from flowtell.training.quality import detector_figures
from flowtell.training.raft_teacher import write_teacher_pairs
from flowtell.training.run_folder import file_sha256, write_json
from flowtell.training.settings import ClassifierSettings, FitSettings, FlowSettings, settings_dict
from flowtell.training.synthetic_flow import MotionConfig
from flowtell.training.trainer import fit

__all__ = [
    "Recipe",
    "cross_validate",
    "fit_final",
    "flow_figures",
    "prepare_videos",
    "train_flow_network",
    "write_figures",
    "write_teacher_sets",
]

PREPARED_NAME, FLOW_NAME, CLASSIFIER_NAME = "prepared", "flow", "classifier"


def _flow_fit(**changes):
    return replace(FlowSettings().fit, **changes)


@dataclass(frozen=True)
class Recipe:
    """Settings of every stage.

    Attributes:
        clips_per_file: face clips stored of each video.
        pretrain: flow on synthetic motion alone.
        finetune: flow on synthetic motion and the teacher's pairs, from the pretrained weights.
        classifier: the fit of the classifier: about ten passes over four fifths of the default's videos.
        folds: of the cross-validation by identity; the last one's people are kept from the teacher's pairs
            too.
        teacher_pairs: pairs of each video that the teacher sees; of the last fold one fewer.
    """

    clips_per_file: int = 6
    pretrain: FlowSettings = field(
        default_factory=lambda: FlowSettings(
            _flow_fit(steps=4400, stop_step=2400, epoch_steps=200, learning_rate=6e-4)
        )
    )
    finetune: FlowSettings = field(
        default_factory=lambda: FlowSettings(
            _flow_fit(steps=1200, epoch_steps=100, batch_size=4, learning_rate=2e-4, seed=1),
            robust=True,
            teacher_share=0.5,
            motion=MotionConfig(size_px=192, translation_px=12),
        )
    )
    classifier: ClassifierSettings = field(
        default_factory=lambda: ClassifierSettings(FitSettings(steps=490, epoch_steps=49, keep="last"))
    )
    folds: int = 5
    teacher_pairs: int = 4


def prepare_videos(recipe, videos, bundle, folder, with_flow=False):
    """Cut the face clips, and compute their flow once the network is trained; returns the `PreparedSet`."""
    folder = Path(folder)
    flow = folder / FLOW_NAME if with_flow else None
    return prepare(videos, folder / PREPARED_NAME, bundle, flow, PrepareSettings(recipe.clips_per_file))


def write_teacher_sets(recipe, folder):
    """Write the teacher's flow on pairs of the stored clips.

    Pairs of the last fold's people go to `teacher-test.npz`, all others to `teacher-train.npz`. A third of
    the pairs are two frames apart, for larger motion.

    Raises:
        ImportError: as `write_teacher_pairs`.
    """
    folder = Path(folder)
    if all((folder / name).exists() for name in ("teacher-train.npz", "teacher-test.npz")):
        return
    prepared = PreparedSet.open(folder / PREPARED_NAME)
    rng = np.random.default_rng(0)
    held_out = [fold == recipe.folds - 1 for fold in identity_folds(prepared.videos, recipe.folds)]
    pairs = {True: [], False: []}
    for position, test in enumerate(held_out):
        stored = prepared.clips(position)
        clips, frames = stored.shape[:2]
        for _ in range(recipe.teacher_pairs - test):
            clip, first = rng.integers(clips), rng.integers(frames - 1)
            apart = 2 if rng.random() < 0.33 and first < frames - 2 else 1
            pairs[test].append(np.stack([stored[clip, first], stored[clip, first + apart]]))
    for test, name in ((True, "teacher-test.npz"), (False, "teacher-train.npz")):
        if pairs[test]:
            write_teacher_pairs(np.stack(pairs[test]), folder / name)


def train_flow_network(recipe, videos, folder, teacher):
    """Train the flow network in two steps, the second into `flow/`.

    Args:
        recipe: a `Recipe`.
        videos: list of `LabelledVideo`; their key frames are painted with.
        folder: of the run.
        teacher: path of the teacher's pairs (see `raft_teacher`).
    """
    folder = Path(folder)
    paths = [v.path for v in videos]
    train_flow(recipe.pretrain, folder / "flow-pretrain", videos=paths)
    train_flow(recipe.finetune, folder / FLOW_NAME, paths, teacher, folder / "flow-pretrain")


def cross_validate(recipe, folder, imagenet_path):
    """Judge every video with a classifier that never saw a person in it.

    Args:
        recipe: a `Recipe`.
        folder: of the run, with the flow of the clips.
        imagenet_path: VGG16's weights.

    Returns:
        what `detector_figures` returns.
    """
    prepared = PreparedSet.open(Path(folder) / PREPARED_NAME)
    folds = np.asarray(identity_folds(prepared.videos, recipe.folds))
    logits = {}
    for fold in range(recipe.folds):
        # The held-out fold is measured after the last step and chooses nothing.
        parts = {
            "train": np.flatnonzero(folds != fold).tolist(),
            "validation": np.flatnonzero(folds == fold).tolist(),
        }
        task, result = _fit(recipe, prepared, parts, folder, f"fold-{fold + 1}", imagenet_path)
        logits |= {position: task.judge(position)[0] for position in parts["validation"]}
        losses = [row["loss"] for row in result.history]
        print(f"fold {fold + 1} of {recipe.folds}: loss {losses[0]:.3f} to {losses[-1]:.3f}", flush=True)
    return detector_figures(prepared.videos, logits, folds)


def flow_figures(recipe, folder, middlebury=None):
    """Return how good the trained flow network is: see `teacher_distance` and `middlebury_errors`.

    Args:
        recipe: a `Recipe`.
        folder: of the run.
        middlebury: folder of pairs with ground truth; None leaves them out.
    """
    folder = Path(folder)
    network = load_flow_network(folder / FLOW_NAME)
    figures = {"held_out_faces_px": teacher_distance(network, TeacherPairs.load(folder / "teacher-test.npz"))}
    return figures | ({"middlebury": middlebury_errors(network, middlebury)} if middlebury else {})


def fit_final(recipe, folder, imagenet_path):
    """Fit the classifier to all videos, into `classifier/`, and return it."""
    prepared = PreparedSet.open(Path(folder) / PREPARED_NAME)
    parts = {"train": list(range(len(prepared.videos))), "validation": []}
    task, _ = _fit(recipe, prepared, parts, folder, CLASSIFIER_NAME, imagenet_path)
    return task.networks["classifier"]


def _fit(recipe, prepared, parts, folder, name, imagenet_path):
    settings, folder = recipe.classifier, Path(folder)
    claimed = {
        "model": "classifier",
        "settings": settings_dict(settings),
        "prepared_sha256": prepared.sha256(),
        "parts": parts,
        "imagenet": file_sha256(imagenet_path),
    }
    cache = folder / f"features-{settings.encoding}-{settings.preprocessing}"
    task = JudgeTask(settings, prepared, parts, cache, imagenet_path)
    return task, fit(task, settings.fit, folder / f"{name}-{settings.encoding}", claimed)


def write_figures(figures, recipe, path):
    """Write figures and the settings they belong to as JSON."""
    write_json(Path(path), {"recipe": settings_dict(recipe), "figures": figures})
