"""The recipe of the default detector: from labelled videos to trained networks and their quality.

Each stage writes into the folder of the run, by the same functions that the commands call. The long ones
resume where they stopped, and refuse a folder that other settings or weights have filled.
"""

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from flowtell import InputError
from flowtell.training.feature_cache import FeatureCache
from flowtell.training.flow_features import flow_step, pair_flow
from flowtell.training.flow_source import FLOW_WEIGHTS_NAME, load_flow_network, open_flow_source
from flowtell.training.flow_task import train_flow
from flowtell.training.judge_task import new_classifier, scale_activations
from flowtell.training.linear_head import set_linear_head
from flowtell.training.linear_judge import choose_penalty, clip_features, fit_videos
from flowtell.training.prepare import PrepareSettings, prepare
from flowtell.training.prepared_set import PreparedSet
from flowtell.training.run_folder import file_sha256
from flowtell.training.settings import PRESETS, ClassifierSettings, FlowSettings
from flowtell.training.stored_flow import write_stored_flow
from flowtell.training.study_features import StudyFeatures
from flowtell.training.synthetic_flow import MotionConfig
from flowtell.training.teacher_sets import FULL_TEACHER_NAME, JUDGED_TEACHER_NAME, TEACHER_NAME
from flowtell.training.thinning import thinned

__all__ = [
    "FLOW_NAME",
    "FULL_FLOW_NAME",
    "FULL_NAME",
    "JUDGED_NAME",
    "PREPARED_NAME",
    "RAFT_NAME",
    "Recipe",
    "clip_feature_sets",
    "compute_flow",
    "compute_full_flow",
    "fit_final",
    "judged_flow_source",
    "learned_features",
    "prepare_videos",
    "train_flow_network",
    "train_full_network",
]

PREPARED_NAME = "prepared"
JUDGED_NAME = "judged"
RAFT_NAME = "raft"
# Of the network that the study compares with: its run, and its flow of the clips that are judged.
FULL_FLOW_NAME = "flow-full"
FULL_NAME = "full"
FLOW_NAME = "flow"
CLASSIFIER_NAME = "classifier"


def _flow_fit(**changes):
    return replace(FlowSettings().fit, **changes)


def _taught(translation_px, **changes):
    """Return the settings of a run in which half of the examples are the teacher's."""
    motion = MotionConfig(size_px=192, translation_px=translation_px)
    return FlowSettings(_flow_fit(batch_size=4, **changes), robust=True, teacher_share=0.5, motion=motion)


def _taught_further(**changes):
    """Return the settings of a run that has mostly the teacher's examples, their motion varied."""
    return replace(
        _taught(14, **changes), robust=False, teacher_share=0.8, teacher_zoom=1.4, teacher_shift_px=8
    )


def _refined(**changes):
    return _taught_further(epoch_steps=900, mixed_precision=True, **changes)


@dataclass(frozen=True)
class Recipe:
    """Settings of every stage.

    Attributes:
        clips_per_file: face clips stored of each video.
        judged_clips: of these, those whose flow is computed and judged.
        pretrain: flow on synthetic motion alone.
        finetune: flow on synthetic motion and the teacher's pairs, from the pretrained weights.
        refinements: one after the other, from the weights of an earlier bundle: mostly the teacher's pairs,
            more of them and their motion varied, for longer, each with other draws; in bfloat16, for which
            see `FitSettings`.
        full: a network of the paper's widths and dense connections, for the study alone: from nothing, on the
            teacher's pairs and synthetic motion at once. In bfloat16, too.
        classifier: what is judged on: VGG16's first four blocks as trained on ImageNet on the flow image at
            its own size, and no hidden layer. Of its fit nothing is used: a linear head has one optimum.
        compressed: constant rate factors of H.264; heads learn from the first half of each clip put through
            it once more by each, too.
        penalties: of the head, to choose from: see `choose_penalty`.
        penalty: of all heads of the study: the one that all files choose.
        aside: methods of real videos that figures are also given without: here those of another frame rate.
        contender_pairs: pairs, or pictures, of each video that the others judge by.
        contender_draws: of these pairs, for the baseline.
        lstm_steps: of each LSTM that the study fits beside the linear heads.
        folds: of identities; the last one's people are kept from the teacher's pairs.
        teacher_pairs: pairs of each video whose flow the teacher gives to learn from.
        full_teacher_pairs: the same for `refinements` and `full`.
        judged_pairs: pairs of each video of the last fold whose flow the teacher gives to measure by.
    """

    clips_per_file: int = 16
    judged_clips: int = 16
    pretrain: FlowSettings = field(
        default_factory=lambda: FlowSettings(
            _flow_fit(steps=4400, stop_step=2400, epoch_steps=200, learning_rate=6e-4)
        )
    )
    finetune: FlowSettings = field(
        default_factory=lambda: _taught(12, steps=1200, epoch_steps=100, learning_rate=2e-4, seed=1)
    )
    refinements: tuple[FlowSettings, ...] = (
        _refined(steps=9000, learning_rate=4e-4, seed=2),
        _refined(steps=4500, learning_rate=3e-4, seed=4),
        _refined(steps=4500, learning_rate=3e-4, seed=5),
    )
    full: FlowSettings = field(
        default_factory=lambda: replace(
            _taught_further(steps=3600, epoch_steps=300, learning_rate=4e-4, seed=3, mixed_precision=True),
            network="full_normalised",
        )
    )
    classifier: ClassifierSettings = PRESETS["classifier"]["bundle"]
    compressed: tuple[int, ...] = (30,)
    penalties: tuple[float, ...] = (2e-5, 6e-5, 2e-4, 6e-4)
    penalty: float = 6e-5
    aside: tuple[str, ...] = ("actors(DFD)",)
    contender_pairs: int = 48
    contender_draws: int = 5
    lstm_steps: int = 300
    folds: int = 5
    teacher_pairs: int = 16
    full_teacher_pairs: int = 32
    judged_pairs: int = 20


def prepare_videos(recipe, videos, bundle, folder, progress=None):
    """Cut the face clips; returns the `PreparedSet`. For `progress` see `prepare`."""
    settings = PrepareSettings(recipe.clips_per_file)
    return prepare(videos, Path(folder) / PREPARED_NAME, bundle, None, settings, progress)


def compute_flow(recipe, videos, bundle, folder, flow=None, progress=None):
    """Compute the flow of the clips that are judged; returns their `PreparedSet`.

    Args:
        recipe: a `Recipe`.
        videos: list of `LabelledVideo`.
        bundle: which found and cropped the faces.
        folder: of the run.
        flow: whose flow it is, see `open_flow_source`; None for the network trained in `folder`.
        progress: see `prepare`.
    """
    folder = Path(folder)
    target = folder / JUDGED_NAME
    thinned(PreparedSet.open(folder / PREPARED_NAME), recipe.judged_clips, target)
    settings = PrepareSettings(recipe.judged_clips)
    return prepare(videos, target, bundle, flow or folder / FLOW_NAME, settings, progress)


def judged_flow_source(folder, flow=None):
    """Open whose flow of the clips the heads of a run are fitted to.

    Args:
        folder: of the run, with the flow of the clips.
        flow: as for `compute_flow`.

    Returns:
        the `FlowSource`.

    Raises:
        InputError: the flow of the clips is another's, or as `open_flow_source`.
    """
    folder = Path(folder)
    source = open_flow_source(flow or folder / FLOW_NAME)
    judged = PreparedSet.open(folder / JUDGED_NAME)
    if judged.index["flow"]["sha256"] != source.sha256:
        raise InputError(
            f"heads are fitted to the flow in '{judged.folder}', which is not that of "
            f"'{flow or folder / FLOW_NAME}'"
        )
    return source


def train_flow_network(recipe, videos, folder, start=None, progress=None):
    """Train the flow network into `flow/`, run after run, by what `teacher_sets` wrote, or refine one.

    Args:
        recipe: a `Recipe`.
        videos: list of `LabelledVideo`; their key frames are painted with.
        folder: of the run.
        start: folder of a flow network that is refined by what `write_full_teacher` wrote; None: a new one is
            pretrained and fine-tuned.
        progress: from the name and the steps of each run to what is called with (step, a note) in it.
    """
    folder = Path(folder)
    paths = [v.path for v in videos]
    judged = folder / JUDGED_TEACHER_NAME

    def train(settings, name, teacher, start):
        bar = progress and progress(name, settings.fit.last_step)
        train_flow(settings, folder / name, paths, teacher, start, bar, judged)
        return folder / name

    if start is None:
        pretrained = train(recipe.pretrain, "flow-pretrain", None, None)
        train(recipe.finetune, FLOW_NAME, folder / TEACHER_NAME, pretrained)
        return
    *before, last = recipe.refinements
    for number, settings in enumerate(before, 1):
        start = train(settings, f"flow-refined-{number}", folder / FULL_TEACHER_NAME, start)
    train(last, FLOW_NAME, folder / FULL_TEACHER_NAME, start)


def train_full_network(recipe, videos, folder, progress=None):
    """Train the network that the study compares with, by what `write_full_teacher` wrote, into `flow-full/`.

    Args:
        recipe: a `Recipe`.
        videos: list of `LabelledVideo`; their key frames are painted with.
        folder: of the run.
        progress: called with (step, a note).
    """
    folder = Path(folder)
    paths = [v.path for v in videos]
    teacher, judged = folder / FULL_TEACHER_NAME, folder / JUDGED_TEACHER_NAME
    train_flow(recipe.full, folder / FULL_FLOW_NAME, paths, teacher, None, progress, judged)


def compute_full_flow(recipe, folder, progress=None):
    """Write that network's flow of the clips that are judged into `full/`, for the study.

    Args:
        recipe: a `Recipe`.
        folder: of the run.
        progress: called with (videos done, a note).
    """
    folder = Path(folder)
    network = folder / FULL_FLOW_NAME
    step, sha256 = flow_step(load_flow_network(network)), file_sha256(network / FLOW_WEIGHTS_NAME)
    prepared, stride = PreparedSet.open(folder / JUDGED_NAME), recipe.classifier.pair_stride
    flow_of_clip = partial(pair_flow, step, batch_size=prepared.pairs_per_clip // stride)
    write_stored_flow(prepared, folder / FULL_NAME, sha256, flow_of_clip, stride, progress)


def clip_feature_sets(recipe, folder, imagenet_path):
    """Compute what the classifier's frozen part makes of all clips, once.

    Args:
        recipe: a `Recipe`.
        folder: of the run, with the flow of the clips.
        imagenet_path: VGG16's weights.

    Returns:
        (the `PreparedSet`, the `FlowClassifier` with no head yet, position to features `[clips, D]`).
    """
    settings, folder = recipe.classifier, Path(folder)
    prepared = PreparedSet.open(folder / JUDGED_NAME)
    classifier = new_classifier(settings, imagenet_path)
    cache_folder = folder / f"features-{settings.encoding}-{settings.input_size}"
    cache = FeatureCache(cache_folder, prepared, classifier, settings.encoding, settings.pair_stride)
    positions = range(len(prepared.videos))
    return prepared, classifier, {p: clip_features(classifier, cache(p), settings.mirror) for p in positions}


def learned_features(recipe, folder, imagenet_path, features, flow=None):
    """Return what heads are fitted to: `features`, and those of the same clips compressed again.

    Args:
        recipe: a `Recipe`.
        folder: of the run, with the flow of the clips.
        imagenet_path: VGG16's weights.
        features: of the clips as they are, from `clip_feature_sets`.
        flow: as for `compute_flow`.

    Returns:
        position to features `[clips and copies, D]`.

    Raises:
        InputError: as `judged_flow_source`.
    """
    if not recipe.compressed:
        return features
    source, prepared = judged_flow_source(folder, flow), PreparedSet.open(Path(folder) / JUDGED_NAME)
    of = StudyFeatures(recipe.classifier, prepared, Path(folder), imagenet_path)
    return of.with_copies(features, recipe.compressed, source)


def fit_final(recipe, folder, imagenet_path, flow=None):
    """Fit the head to all videos, write the classifier into `classifier/`, and return it.

    For `flow` see `learned_features`.
    """
    prepared, classifier, features = clip_feature_sets(recipe, folder, imagenet_path)
    videos, everything = prepared.videos, list(range(len(prepared.videos)))
    rms = scale_activations(classifier, list(features.values()))
    learned = learned_features(recipe, folder, imagenet_path, features, flow)
    features = {p: f / rms for p, f in learned.items()}
    penalty = choose_penalty(features, videos, everything, recipe.penalties)
    set_linear_head(classifier, fit_videos(features, videos, everything, penalty))
    target = Path(folder) / CLASSIFIER_NAME
    target.mkdir(exist_ok=True)
    classifier.save_weights(target / "classifier.weights.h5")
    return classifier
