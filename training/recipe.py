"""The recipe of the default detector: from labelled videos to trained networks and their quality.

Each stage writes into the folder of the run. The long ones resume where they stopped, and refuse a folder
that other settings or weights have filled.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from flowtell.training.classifier_trainer import (
    ClassifierTraining,
    fit_classifier,
    new_classifier,
    pair_logits,
)
from flowtell.training.clip_store import load_clips, store_clips
from flowtell.training.flow_batches import TeacherPairs
from flowtell.training.flow_features import feature_step, flow_step, frozen_features, mirrored_flow, pair_flow
from flowtell.training.flow_quality import middlebury_errors, teacher_distance
from flowtell.training.flow_trainer import FlowTraining, train_flow
from flowtell.training.labels import identity_folds
from flowtell.training.models import build_flow_network
from flowtell.training.quality import detector_figures
from flowtell.training.raft_teacher import write_teacher_pairs
from flowtell.training.run_folder import claim, file_sha256, whole_file
from flowtell.training.synthetic_flow import MotionConfig

__all__ = [
    "Recipe",
    "cross_validate",
    "extract_flow",
    "fit_final",
    "flow_figures",
    "store_video_clips",
    "train_flow_network",
    "write_figures",
    "write_teacher_sets",
]


@dataclass(frozen=True)
class Recipe:
    """Settings of every stage.

    Attributes:
        clips_per_file: face clips stored of each video.
        pretrain: flow on synthetic motion alone.
        finetune: flow on synthetic motion and the teacher's pairs, from the pretrained weights.
        classifier: the fit of the classifier.
        pair_stride: every so manieth pair of a clip is trained on: neighbours are nearly alike.
        folds: of the cross-validation by identity; the last one's people are kept from the teacher's pairs
            too.
        teacher_pairs: pairs of each video that the teacher sees; of the last fold one fewer.
    """

    clips_per_file: int = 6
    pretrain: FlowTraining = field(
        default_factory=lambda: FlowTraining(steps=4400, stop_step=2400, epoch_steps=200, learning_rate=6e-4)
    )
    finetune: FlowTraining = field(
        default_factory=lambda: FlowTraining(
            steps=1200,
            epoch_steps=100,
            batch_size=4,
            learning_rate=2e-4,
            robust=True,
            seed=1,
            teacher_share=0.5,
            motion=MotionConfig(size_px=192, translation_px=12),
        )
    )
    classifier: ClassifierTraining = field(default_factory=lambda: ClassifierTraining(epochs=0))
    pair_stride: int = 3
    folds: int = 5
    teacher_pairs: int = 4


@dataclass(frozen=True)
class _Examples:
    """Cached features: row k of `features` is a pair of clip `clips[k]` of video `videos[k]`."""

    features: np.ndarray
    mirrored: np.ndarray
    videos: np.ndarray
    clips: np.ndarray


def store_video_clips(recipe, videos, bundle, folder):
    """Cut the face clips; returns what `store_clips` returns."""
    return store_clips([v.path for v in videos], Path(folder) / "clips", bundle, recipe.clips_per_file)


def write_teacher_sets(recipe, videos, folder):
    """Write the teacher's flow on pairs of the stored clips.

    Pairs of the last fold's people go to `teacher-test.npz`, all others to `teacher-train.npz`. A third of
    the pairs are two frames apart, for larger motion.

    Raises:
        ImportError: as `write_teacher_pairs`.
    """
    folder = Path(folder)
    if all((folder / name).exists() for name in ("teacher-train.npz", "teacher-test.npz")):
        return
    rng = np.random.default_rng(0)
    held_out = [fold == recipe.folds - 1 for fold in identity_folds(videos, recipe.folds)]
    pairs = {True: [], False: []}
    for index, test in enumerate(held_out):
        stored = load_clips(folder / "clips", index)
        if stored is None:
            continue
        clips, frames = stored.frames.shape[:2]
        for _ in range(recipe.teacher_pairs - test):
            clip, first = rng.integers(clips), rng.integers(frames - 1)
            apart = 2 if rng.random() < 0.33 and first < frames - 2 else 1
            pairs[test].append(np.stack([stored.frames[clip, first], stored.frames[clip, first + apart]]))
    for test, name in ((True, "teacher-test.npz"), (False, "teacher-train.npz")):
        if pairs[test]:
            write_teacher_pairs(np.stack(pairs[test]), folder / name)


def train_flow_network(recipe, videos, folder, teacher):
    """Train the flow network in two steps and return the path of its weights.

    Args:
        recipe: a `Recipe`.
        videos: list of `LabelledVideo`; their key frames are painted with.
        folder: of the run.
        teacher: path of the teacher's pairs (see `raft_teacher`).
    """
    folder = Path(folder)
    paths = [v.path for v in videos]
    first = train_flow(recipe.pretrain, folder / "flow-pretrain", videos=paths)
    return train_flow(recipe.finetune, folder / "flow", videos=paths, teacher=teacher, init=first)


def extract_flow(recipe, count, folder):
    """Compute and store the flow of the stored clips' pairs with the trained network, one file a video.

    A file is float16 `[clips, pairs, S/4, S/4, 2]` in px, every `pair_stride`-th pair of each clip.
    """
    folder = Path(folder)
    weights = folder / "flow" / "flow.weights.h5"
    claim(folder / "flow-of-clips", {"weights": file_sha256(weights), "pair_stride": recipe.pair_stride})
    network = build_flow_network(recipe.finetune.preset)
    network.load_weights(weights)
    step = flow_step(network)
    for index in range(count):
        path = folder / "flow-of-clips" / f"{index:05d}.npy"
        clips = load_clips(folder / "clips", index)
        if clips is not None and not path.exists():
            with whole_file(path) as scratch:
                np.save(scratch, _strided_flow(step, clips.frames, recipe.pair_stride))


def _strided_flow(step, frames, stride):
    first, second = frames[:, :-1:stride], frames[:, 1::stride]
    flow = pair_flow(step, *(x.reshape(-1, *frames.shape[2:]) for x in (first, second)))
    return flow.reshape(*first.shape[:2], *flow.shape[1:])


def cross_validate(recipe, videos, folder, imagenet_path):
    """Judge every video with a classifier that never saw a person in it.

    Args:
        recipe: a `Recipe`.
        videos: list of `LabelledVideo`.
        folder: of the run, with the flow of the clips.
        imagenet_path: VGG16's weights.

    Returns:
        what `detector_figures` returns.
    """
    folds = np.asarray(identity_folds(videos, recipe.folds))
    labels = np.asarray([v.label for v in videos])
    examples = _load_examples(recipe, videos, folder, imagenet_path)
    logits = np.zeros(len(examples.videos), np.float32)
    for fold in range(recipe.folds):
        test = folds[examples.videos] == fold
        if not test.any():
            continue
        classifier = new_classifier(recipe.classifier, imagenet_path)
        losses = _fit(recipe, classifier, examples, ~test, labels)
        logits[test] = pair_logits(classifier, examples.features[test])
        print(f"fold {fold + 1} of {recipe.folds}: loss {losses[0]:.3f} to {losses[-1]:.3f}", flush=True)
    return detector_figures(videos, _by_clip(examples, logits), folds)


def flow_figures(recipe, folder, middlebury=None):
    """Return how good the trained flow network is: see `teacher_distance` and `middlebury_errors`.

    Args:
        recipe: a `Recipe`.
        folder: of the run.
        middlebury: folder of pairs with ground truth; None leaves them out.
    """
    folder = Path(folder)
    network = build_flow_network(recipe.finetune.preset)
    network.load_weights(folder / "flow" / "flow.weights.h5")
    figures = {"held_out_faces_px": teacher_distance(network, TeacherPairs.load(folder / "teacher-test.npz"))}
    return figures | ({"middlebury_epe_px": middlebury_errors(network, middlebury)} if middlebury else {})


def fit_final(recipe, videos, folder, imagenet_path):
    """Fit the classifier to all videos, write `classifier-ENCODING.weights.h5`, and return the classifier."""
    labels = np.asarray([v.label for v in videos])
    examples = _load_examples(recipe, videos, folder, imagenet_path)
    classifier = new_classifier(recipe.classifier, imagenet_path)
    _fit(recipe, classifier, examples, np.ones(len(examples.videos), bool), labels)
    with whole_file(Path(folder) / f"classifier-{recipe.classifier.encoding}.weights.h5") as scratch:
        classifier.save_weights(scratch)
    return classifier


def _fit(recipe, classifier, examples, rows, labels):
    features = np.concatenate([examples.features[rows], examples.mirrored[rows]])
    return fit_classifier(classifier, features, np.tile(labels[examples.videos[rows]], 2), recipe.classifier)


def _load_examples(recipe, videos, folder, imagenet_path):
    """Frozen features of the stored flow, computed once for each encoding and preprocessing."""
    settings = recipe.classifier
    cache = Path(folder) / f"features-{settings.encoding}-{settings.preprocessing}"
    claim(cache, json.loads((Path(folder) / "flow-of-clips" / "settings.json").read_text()))
    step = feature_step(new_classifier(settings, imagenet_path), settings.encoding)
    parts = []
    for index in range(len(videos)):
        flow_path = Path(folder) / "flow-of-clips" / f"{index:05d}.npy"
        if not flow_path.exists():
            continue
        path = cache / f"{index:05d}.npy"
        if not path.exists():
            flow = np.load(flow_path, allow_pickle=False)
            flat = flow.reshape(-1, *flow.shape[2:])
            both = [frozen_features(step, f) for f in (flat, mirrored_flow(flat))]
            with whole_file(path) as scratch:
                np.save(scratch, np.stack(both).reshape(2, *flow.shape[:2], *both[0].shape[1:]))
        stored = np.load(path, allow_pickle=False)
        clips, pairs = stored.shape[1:3]
        flat = stored.reshape(2, clips * pairs, *stored.shape[3:])
        parts.append((flat[0], flat[1], np.full(clips * pairs, index), np.repeat(np.arange(clips), pairs)))
    return _Examples(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _by_clip(examples, logits):
    """Return video number to the mean logit of each of its clips."""
    return {
        index: [
            float(logits[(examples.videos == index) & (examples.clips == clip)].mean())
            for clip in np.unique(examples.clips[examples.videos == index])
        ]
        for index in np.unique(examples.videos).tolist()
    }


def write_figures(figures, recipe, path):
    """Write figures and the settings they belong to as JSON."""
    record = {"recipe": asdict(recipe), "figures": figures}
    Path(path).write_text(json.dumps(record, indent=2) + "\n")
