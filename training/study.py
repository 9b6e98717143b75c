"""One factor at a time: what each choice of the default detector is worth, on the same files and folds."""

from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from flowtell.training._spread import evenly_spread
from flowtell.training.comparison import gain
from flowtell.training.contenders import dis_of
from flowtell.training.evidence import first_half, of_fewer_pairs, smaller_faces
from flowtell.training.flow_variants import (
    ClipVariant,
    FlowVariant,
    in_px_of,
    without_surround,
)
from flowtell.training.labels import identity_groups
from flowtell.training.linear_head import fit_linear_head
from flowtell.training.linear_judge import clip_features, held_out_choices, held_out_logits, people_left_out
from flowtell.training.lstm_judge import held_out_lstm_logits
from flowtell.training.metrics import auc
from flowtell.training.prepared_set import INDEX_NAME, PreparedSet
from flowtell.training.pseudo_set import write_pseudo_set
from flowtell.training.quality import detector_figures
from flowtell.training.recipe import FULL_NAME, JUDGED_NAME, RAFT_NAME
from flowtell.training.recut import RECUTS
from flowtell.training.settings import ClipLSTMSettings
from flowtell.training.stored_flow import has_stored_flow, stored_flow_variant
from flowtell.training.study_features import StudyFeatures

__all__ = ["learning_curve", "study"]

_SHARES = (0.25, 0.5, 0.75, 1.0)
_DRAWS = 5
_FACES_PX = (96, 64)
_CLIPS = (1, 2, 4, 8)
_SHORT_CLIPS_PAIRS = (4, 2)
# Side that the original method enlarges or shrinks its flow images to.
_ORIGINAL_INPUT_PX = 120
_IMAGES = ("uv", "uv_residual", "colour_wheel")
# Of H.264: what a messenger makes of a video, and what is hardly looked at any more.
_CRFS = (30, 40)
_HALF_CLIPS = "faces judged, first half of each clip"


def study(recipe, folder, imagenet_path, flow):
    """Measure the recipe's settings, and each change of one of them.

    What costs least comes first. Heads learn from clips as they are: what copies that are compressed again
    add, from which the recipe's learn, too, is a factor like others.

    Args:
        recipe: a `Recipe`.
        folder: of the run, with the flow of the clips.
        imagenet_path: VGG16's weights.
        flow: the `FlowSource` of the clips' flow, for that of pseudo-fakes and of crops that were changed.

    Yields:
        dict: `factor`, `setting`, `figures` (see `detector_figures`) and `against_first` (see `gain`); of
        the unchanged settings first.
    """
    folder = Path(folder)
    prepared = PreparedSet.open(folder / JUDGED_NAME)
    videos, own = prepared.videos, None
    features = StudyFeatures(recipe.classifier, prepared, folder, imagenet_path)
    parts = (
        _of_the_head(recipe, features),
        _of_evidence(recipe, features, flow),
        _of_images(recipe, features),
        _with_pseudo_fakes(recipe, features, flow),
        _of_crops(recipe, features),
        _of_an_lstm(recipe, features),
        _of_other_networks(recipe, features),
        _of_short_clips(recipe, features),
        _of_choice(recipe, features),
    )
    for factor, setting, logits in chain(*parts):
        figures = detector_figures(videos, logits, identity_groups(videos), recipe.aside)
        scores = np.asarray([s["score"] for s in figures.pop("scores")])
        own, judged = (scores if own is None else own), sorted(logits)
        yield {
            "factor": factor,
            "setting": setting,
            "figures": figures,
            "against_first": gain([videos[p] for p in judged], scores, own[judged], recipe.aside),
        }


def _of_the_head(recipe, features):
    """Yield (factor, setting, position to logits of its clips) of what needs no other flow image."""
    cache, own = features.own_cache(), features.own
    judged = partial(_held_out, recipe, features)
    yield "flow image", recipe.classifier.encoding, judged(own)
    yield "head", "people brought to one place", judged(own, centred=True)
    yield "head", "halves of the face apart", judged(features.halves_apart)
    yield "head", "mean over the map", judged(features.pooled)
    yield "VGG16's blocks", "5", judged(features.five_blocks)
    for count in (1, 2):
        pairs = evenly_spread(cache(0).shape[1], count)
        yield "pairs of a clip", str(count), judged(features.of(cache, pairs=pairs))
    for count in _fewer_clips(recipe):
        some = {p: of_fewer_pairs(f, count) for p, f in own.items()}
        yield "clips of a file", str(count), judged(some)


def _held_out(recipe, features, learned, **changes):
    """Return position to the logits of its clips, by heads with the recipe's ridge; see `held_out_logits`."""
    return held_out_logits(learned, features.prepared.videos, (recipe.penalty,), **changes)[0]


def _fewer_clips(recipe):
    return [count for count in _CLIPS if count < recipe.judged_clips]


def _of_images(recipe, features):
    """Yield the same for other flow images, and other flow."""
    own = recipe.classifier.encoding
    judged = partial(_held_out, recipe, features)
    for encoding in _IMAGES:
        if encoding != own:
            yield "flow image", encoding, judged(features.of_image(encoding))
    yield "range of u and v", "four times", judged(features.other_range)
    steady = features.shown("without_surround", without_surround)
    yield "camera motion", "subtracted", judged(features.of(steady))
    yield "VGG16's input", f"{_ORIGINAL_INPUT_PX} px", judged(features.of_input(_ORIGINAL_INPUT_PX))
    dis = features.cache("dis", FlowVariant(features.prepared, "dis", dis_of))
    yield "flow source", "OpenCV DIS", judged(features.of(dis))


def _of_evidence(recipe, features, flow):
    """Yield the same for the recipe's own heads, given less to judge by."""
    prepared, margin = features.prepared, features.prepared.index["settings"]["crop_margin"]
    own = features.own

    def judged(of_clips):
        return _held_out(recipe, features, own, judged=of_clips)

    for count in _fewer_clips(recipe):
        setting = "1 clip" if count == 1 else f"{count} clips"
        yield "judged by", setting, judged({p: of_fewer_pairs(f, count) for p, f in own.items()})
    half = FlowVariant(prepared, "first-half", first_half, slice(prepared.pairs_per_clip // 2))
    yield _HALF_CLIPS, "as filmed", judged(features.of_all_pairs(half))
    for px in _FACES_PX:
        variant = ClipVariant(prepared, f"{px}-px", flow, smaller_faces(px, margin))
        yield _HALF_CLIPS, f"{px} px", judged(features.of_all_pairs(variant))
    for crf in _CRFS:
        yield _HALF_CLIPS, f"compressed, CRF {crf}", judged(features.compressed(crf, flow))
    for crf in recipe.compressed:
        learned = features.with_copies(own, (crf,), flow)
        logits = held_out_logits(learned, prepared.videos, (recipe.penalty,), judged=own)[0]
        yield "learned from", f"clips compressed again, CRF {crf}, too", logits


def _of_crops(recipe, features):
    """Yield the same for the videos cut otherwise: those that gave a clip, where `recut` has run."""
    size = features.prepared.crop_size
    for cut in RECUTS:
        if not (features.folder / cut.name / INDEX_NAME).is_file():
            continue
        other = PreparedSet.open(features.folder / cut.name)
        of_other = StudyFeatures(recipe.classifier, other, features.folder, features.imagenet)
        same_px = ("same_px", in_px_of(size, other.crop_size))
        name = f"{cut.name}-{recipe.classifier.input_size}"
        of_crops = of_other.of(of_other.cache(name, shown=same_px))
        there = [features.prepared.numbers.index(number) for number in other.numbers]
        own = {k: features.own[p] for k, p in enumerate(there)}
        for factor, learned in (("crops", of_crops), ("crops judged, not learned from", own)):
            logits, _ = held_out_logits(learned, other.videos, (recipe.penalty,), judged=of_crops)
            yield factor, cut.label, {there[k]: of_clips for k, of_clips in logits.items()}


def _of_an_lstm(recipe, features):
    """Yield the same for an LSTM over the pairs of a clip instead of their mean."""
    chosen = recipe.classifier
    fit = replace(chosen.fit, steps=recipe.lstm_steps, batch_size=16, learning_rate=3e-4, clip_norm=1.0)
    settings = ClipLSTMSettings(**vars(chosen) | {"fit": fit})
    cache = features.own_folder
    yield "over time", "LSTM", held_out_lstm_logits(settings, features.prepared, cache, features.imagenet)


def _of_other_networks(recipe, features):
    """Yield the same for the flow of other networks, where it was written beside the set."""
    prepared = features.prepared
    for name, label in ((RAFT_NAME, "RAFT"), (FULL_NAME, "PWC-Net of full size")):
        if has_stored_flow(prepared, features.folder / name):
            stride, full_name = recipe.classifier.pair_stride, f"{name}-{recipe.classifier.input_size}"
            variant = stored_flow_variant(prepared, features.folder / name, full_name, stride)
            yield "flow source", label, _held_out(recipe, features, features.of_all_pairs(variant))


def _of_short_clips(recipe, features):
    """Yield the same for clips cut again into shorter ones: so many more of them that a fit takes long."""
    for pairs in _SHORT_CLIPS_PAIRS:
        length = f"T = {pairs * recipe.classifier.pair_stride}"
        logits = _held_out(recipe, features, features.of_shorter_clips(pairs))
        yield "clips of the same pairs", length, logits


def _of_choice(recipe, features):
    """Yield the same for heads whose setting was chosen anew for each person, from those measured here."""
    videos = features.prepared.videos
    yield "penalty", "chosen without the judged", held_out_logits(features.own, videos, recipe.penalties)[0]
    settings = {
        "default": features.own,
        "halves of the face apart": features.halves_apart,
        "mean over the map": features.pooled,
        "5 blocks": features.five_blocks,
        "four times the range": features.other_range,
        **{image: features.of_image(image) for image in _IMAGES if image != recipe.classifier.encoding},
    }
    logits, _ = held_out_choices(settings, videos, recipe.penalties)
    yield "flow image, range, blocks, head, penalty", "chosen without the judged", logits


def _with_pseudo_fakes(recipe, features, flow):
    """Yield the same for heads that learned from pseudo-fakes, too, and from nothing else."""
    videos = features.prepared.videos
    made = write_pseudo_set(features.prepared, flow, features.folder / "pseudo")
    cache = features.cache("pseudo", made)
    classifier = features.classifier()
    by_number = {n: clip_features(classifier, cache(p)) for p, n in enumerate(made.numbers)}
    real = {p: k for k, p in enumerate(p for p, video in enumerate(videos) if video.label == 0)}

    def examples(train):
        numbers = [2 * real[p] + label for p in train if p in real for label in (0, 1)]
        labels = np.repeat([n % 2 for n in numbers], [len(by_number[n]) for n in numbers])
        return np.concatenate([by_number[n] for n in numbers]), labels

    own = features.own
    yield "pseudo-fakes", "added to the videos", _held_out(recipe, features, own, more=examples)
    alone = {}
    for _, train, left_out in people_left_out(videos):
        head = fit_linear_head(*examples(train), recipe.penalty)
        alone |= {p: head(own[p]) for p in left_out}
    yield "pseudo-fakes", "instead of manipulated videos", alone


def learning_curve(recipe, features, videos, seed=0):
    """Return the AUC of heads that were fitted to some of the people only.

    Args:
        recipe: a `Recipe`.
        features: position to `[clips, D]`.
        videos: list of `LabelledVideo`.
        seed: of which people.

    Returns:
        list of dict: `share` of the groups of people in training, `aucs` and `aucs_without` of several draws.
    """
    groups = np.asarray(identity_groups(videos))
    labels = np.asarray([v.label for v in videos])
    kept = ~np.isin([v.method for v in videos], list(recipe.aside))
    curve = []
    for share in _SHARES:
        rng = np.random.default_rng(seed)
        pairs = []
        for _ in range(1 if share == 1 else _DRAWS):

            def some(train, share=share, rng=rng):
                return _some_people(train, groups, labels, share, rng)

            logits, _ = held_out_logits(features, videos, (recipe.penalty,), keep=some)
            scores = np.asarray([np.mean(logits[p]) for p in range(len(videos))])
            pairs.append((auc(scores, labels), auc(scores[kept], labels[kept])))
        aucs, without = zip(*pairs, strict=True)
        curve.append({"share": share, "aucs": list(aucs), "aucs_without": list(without)})
    return curve


def _some_people(train, groups, labels, share, rng):
    """Return the videos of a share of the groups of people in `train`, both classes among them."""
    there = np.unique(groups[train])
    while True:
        picked = rng.permutation(there)[: max(2, round(share * len(there)))]
        videos = [p for p in train if groups[p] in picked]
        if len(set(labels[videos].tolist())) == 2:
            return videos
