"""One factor at a time: what each choice of the default detector is worth, on the same files and folds."""

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, pairwise
from pathlib import Path

import numpy as np

from flowtell.training._spread import evenly_spread
from flowtell.training.comparison import gain
from flowtell.training.contenders import dis_flow
from flowtell.training.evidence import first_half, of_fewer_pairs, smaller_faces
from flowtell.training.feature_cache import FeatureCache
from flowtell.training.judge_task import new_classifier
from flowtell.training.labels import identity_groups
from flowtell.training.linear_head import fit_linear_head
from flowtell.training.linear_judge import clip_features, held_out_choices, held_out_logits, people_left_out
from flowtell.training.metrics import auc
from flowtell.training.prepared_set import PreparedSet
from flowtell.training.pseudo_set import write_pseudo_set
from flowtell.training.quality import detector_figures
from flowtell.training.recipe import JUDGED_NAME

__all__ = ["FlowVariant", "a_quarter", "dis_of", "learning_curve", "study", "without_surround"]

_SURROUND_SHARE = 0.15
_SHARES = (0.25, 0.5, 0.75, 1.0)
_DRAWS = 5
_FACES_PX = (96, 64)


@dataclass(frozen=True)
class FlowVariant:
    """A prepared set whose flow is another: what `FeatureCache` asks of a set.

    Attributes:
        prepared: the `PreparedSet`.
        name: of the variant.
        change: from (set, position) to flow `[N, T, S/4, S/4, 2]` in px of a crop.
    """

    prepared: PreparedSet
    name: str
    change: object

    @property
    def numbers(self):
        """As the set's."""
        return self.prepared.numbers

    def flow(self, position):
        """Return the flow of a video's clips."""
        return self.change(self.prepared, position)

    def sha256(self):
        """Return what tells these features from those of the set."""
        return f"{self.prepared.sha256()}-{self.name}"


def without_surround(prepared, position):
    """Return a video's flow less the mean motion of the crop's rim: the camera's, where the face fills it."""
    flow = prepared.flow(position).astype(np.float32)
    side = flow.shape[2]
    rim = np.ones((side, side), bool)
    width = round(_SURROUND_SHARE * side)
    rim[width:-width, width:-width] = False
    return flow - flow[:, :, rim].mean(axis=2)[:, :, None, None]


def a_quarter(prepared, position):
    """Return a quarter of a video's flow: `uv` shows it as it would the flow at four times its range."""
    return prepared.flow(position) / 4


def dis_of(prepared, position):
    """Return OpenCV's DIS flow of a video's clips."""
    clips = prepared.clips(position)
    return np.stack([[dis_flow(a, b) for a, b in pairwise(c)] for c in clips])


def study(recipe, folder, imagenet_path, flow):
    """Measure the recipe's own settings, and each change of one of them; what costs least comes first.

    Args:
        recipe: a `Recipe`.
        folder: of the run, with the flow of the clips.
        imagenet_path: VGG16's weights.
        flow: the `FlowSource` of the clips' flow, for that of pseudo-fakes and of smaller faces.

    Yields:
        dict: `factor`, `setting`, `figures` (see `detector_figures`) and `against_default` (see `gain`); of
        the recipe's own settings first.
    """
    folder = Path(folder)
    prepared = PreparedSet.open(folder / JUDGED_NAME)
    videos, own = prepared.videos, None
    features = _Features(recipe.classifier, prepared, folder, imagenet_path)
    parts = (
        _of_the_head(recipe, features),
        _of_evidence(recipe, features, flow),
        _with_pseudo_fakes(recipe, features, flow),
        _of_flow(recipe, features),
        _of_choice(recipe, features),
    )
    for factor, setting, logits in chain(*parts):
        figures = detector_figures(videos, logits, identity_groups(videos), recipe.aside)
        scores = np.asarray([s["score"] for s in figures.pop("scores")])
        own = scores if own is None else own
        yield {
            "factor": factor,
            "setting": setting,
            "figures": figures,
            "against_default": gain(videos, scores, own, recipe.aside),
        }


class _Features:
    """What frozen VGG16 blocks make of the flow of a prepared set, or of a variant of it."""

    def __init__(self, chosen, prepared, folder, imagenet_path):
        self.chosen, self.prepared, self.folder = chosen, prepared, folder
        self._imagenet = imagenet_path

    def classifier(self, **changes):
        """Return a `FlowClassifier` of the chosen settings but for some."""
        return new_classifier(replace(self.chosen, **changes), self._imagenet)

    def cache(self, name, source=None, **changes):
        """Return the `FeatureCache` of a source of flow, the set's own unless told otherwise."""
        settings = replace(self.chosen, **changes)
        source, classifier = source or self.prepared, self.classifier(**changes)
        folder = self.folder / f"features-{name}"
        return FeatureCache(folder, source, classifier, settings.encoding, settings.pair_stride)

    def of(self, cache, mirror=True, pairs=slice(None), **changes):
        """Return position to features `[clips, D]`."""
        classifier = self.classifier(**changes)
        positions = range(len(self.prepared.videos))
        return {p: clip_features(classifier, cache(p)[:, pairs], mirror) for p in positions}

    def own_cache(self):
        """Return the cache that the recipe itself uses."""
        return self.cache(f"{self.chosen.encoding}-{self.chosen.input_size}")

    @cached_property
    def own(self):
        """What the recipe's own heads are fitted to, position to features `[clips, D]`."""
        return self.of(self.own_cache())

    @cached_property
    def pooled(self):
        """The same as means over the map."""
        channels = self.classifier().blocks[-1].convs[-1].filters
        return {p: f.reshape(len(f), -1, channels).mean(axis=1) for p, f in self.own.items()}

    @cached_property
    def halves_apart(self):
        """The same with both halves of the face weighed apart."""
        return self.of(self.own_cache(), mirror=False)

    @cached_property
    def five_blocks(self):
        """The same after VGG16's fifth block, too."""
        return self.of(self.own_cache(), blocks=5)

    @cached_property
    def other_range(self):
        """The same of `uv` at four times its range."""
        return self.of(self.changed(a_quarter))

    @cached_property
    def other_image(self):
        """The same of the flow image that is not chosen."""
        encoding = self.other_encoding
        return self.of(self.cache(f"{encoding}-{self.chosen.input_size}", encoding=encoding))

    @property
    def other_encoding(self):
        """Name of the flow image that is not chosen."""
        return "colour_wheel" if self.chosen.encoding == "uv" else "uv"

    def changed(self, change):
        """Return the cache of the set with another flow; see `FlowVariant`."""
        return self.cache(change.__name__, FlowVariant(self.prepared, change.__name__, change))


def _around(penalty):
    return tuple(factor * penalty for factor in (0.1, 1, 10))


def _of_the_head(recipe, features):
    """Yield (factor, setting, position to logits of its clips) of what needs no other flow image."""
    cache, videos = features.own_cache(), features.prepared.videos
    own = features.own

    def judged(of_clips, penalties=recipe.penalties):
        return held_out_logits(of_clips, videos, penalties)[0]

    yield "flow image", recipe.classifier.encoding, judged(own)
    centred = held_out_logits(own, videos, recipe.penalties, centred=True)[0]
    yield "head", "people brought to one place", centred
    yield "head", "halves of the face apart", judged(features.halves_apart)
    yield "head", "mean over the map", judged(features.pooled)
    yield "VGG16's blocks", "5", judged(features.five_blocks)
    for count in (1, 2):
        pairs = evenly_spread(cache(0).shape[1], count)
        yield "pairs of a clip", str(count), judged(features.of(cache, pairs=pairs))
    for count in (1, 2):
        some = {p: of_fewer_pairs(f, count) for p, f in own.items()}
        yield "clips of a file", str(count), judged(some)
    yield "penalty", "chosen without the judged", judged(own, _around(recipe.penalties[0]))


def _of_evidence(recipe, features, flow):
    """Yield the same for the recipe's own heads, given less to judge by."""
    prepared, margin = features.prepared, features.prepared.index["settings"]["crop_margin"]
    own = features.own

    def judged(of_clips):
        return held_out_logits(own, prepared.videos, recipe.penalties, judged=of_clips)[0]

    for count in (1, 2):
        pairs = count * prepared.pairs_per_clip
        yield "judged by", f"{pairs} pairs", judged({p: of_fewer_pairs(f, count) for p, f in own.items()})
    changes = [("as filmed", "first-half", first_half)]
    changes += [(f"{px} px", f"face-{px}", smaller_faces(flow, px, margin)) for px in _FACES_PX]
    for setting, name, change in changes:
        cache = features.cache(name, FlowVariant(prepared, name, change), pair_stride=1)
        yield "faces judged, first half of each clip", setting, judged(features.of(cache))


def _of_flow(recipe, features):
    """Yield the same for other flow images."""

    def judged(of_clips):
        return held_out_logits(of_clips, features.prepared.videos, recipe.penalties)[0]

    yield "range of uv", "8 px", judged(features.other_range)
    for factor, setting, change in (
        ("camera motion", "subtracted", without_surround),
        ("flow source", "OpenCV DIS", dis_of),
    ):
        yield factor, setting, judged(features.of(features.changed(change)))
    yield "flow image", features.other_encoding, judged(features.other_image)


def _of_choice(recipe, features):
    """Yield the same for heads whose setting was chosen anew for each person, from those measured here."""
    settings = {
        "default": features.own,
        "halves of the face apart": features.halves_apart,
        "mean over the map": features.pooled,
        "5 blocks": features.five_blocks,
        "8 px": features.other_range,
        features.other_encoding: features.other_image,
    }
    logits, _ = held_out_choices(settings, features.prepared.videos, _around(recipe.penalties[0]))
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
    added = held_out_logits(own, videos, recipe.penalties, more=examples)[0]
    yield "pseudo-fakes", "added to the videos", added
    for penalty in recipe.penalties:
        alone = {}
        for _, train, left_out in people_left_out(videos):
            head = fit_linear_head(*examples(train), penalty)
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

            logits, _ = held_out_logits(features, videos, recipe.penalties[:1], keep=some)
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
