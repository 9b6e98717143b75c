"""Classifiers whose head is linear: fitted to few videos, and judged by people they never saw.

A clip is described by the mean over its pairs of the last feature map, of the face and of its mirror image
alike, so that the head weighs both halves of a face the same. Its logit is then the mean of its pairs'.
"""

import numpy as np

from flowtell.training.flow_features import in_batches
from flowtell.training.labels import identity_groups
from flowtell.training.linear_head import fit_linear_heads

__all__ = [
    "choose_penalty",
    "clip_features",
    "fit_videos",
    "held_out_choices",
    "held_out_logits",
    "people_left_out",
    "people_offsets",
]

_BATCH = 32


def clip_features(classifier, features, mirror=True):
    """Return what describes the clips of a video, float32 `[clips, D]`: see above.

    Args:
        classifier: a `FlowClassifier`.
        features: what its frozen blocks make of the pairs, float `[clips, pairs, h, w, C]`.
        mirror: whether both halves of the map are taken together.
    """
    clips, pairs = features.shape[:2]
    flat = in_batches(
        classifier.flat_features, (features.reshape(-1, *features.shape[2:]),), _BATCH, np.float32
    )
    channels = classifier.blocks[-1].convs[-1].filters
    side = round((flat.shape[1] // channels) ** 0.5)
    maps = flat.reshape(clips, pairs, side, side, channels).mean(axis=1)
    if mirror:
        maps = (maps + maps[:, :, ::-1]) / 2
    return maps.reshape(clips, -1)


def people_offsets(features, videos, positions):
    """Return how far each video's people are from where all of them are, position to `[D]`.

    Taken from the features of the videos that a head is fitted to, what tells one person from another is no
    reason to call one of them fake. Where people are is the middle between their originals and their fakes:
    those who have only either are left as they are.

    Args:
        features: position to `[clips, D]`.
        videos: list of `LabelledVideo`.
        positions: the videos to look at, both classes among them; no other is.
    """
    groups = identity_groups(videos)
    everywhere = _middle(features, videos, positions)
    offsets = {}
    for group in {groups[p] for p in positions}:
        members = [p for p in positions if groups[p] == group]
        both = len({videos[p].label for p in members}) == 2
        away = _middle(features, videos, members) - everywhere if both else np.zeros_like(everywhere)
        offsets |= dict.fromkeys(members, away)
    return offsets


def _middle(features, videos, positions):
    """Return the middle between the mean original and the mean fake; every video counts alike."""
    means = [[features[p].mean(axis=0) for p in positions if videos[p].label == label] for label in (0, 1)]
    return np.mean([np.mean(m, axis=0) for m in means], axis=0)


def fit_videos(features, videos, positions, penalty, more=None, centred=False):
    """Fit a head to videos, each of which counts alike, however many clips it has.

    Args:
        features: position to `[clips, D]`.
        videos: list of `LabelledVideo`.
        positions: the videos to fit to; both classes are among them.
        penalty: as for `fit_linear_head`.
        more: (features `[N, D]`, labels `[N]`) of further examples, or None. Together they count as much as
            the videos.
        centred: whether people are moved to one place first, see `people_offsets`.

    Returns:
        a `LinearHead`, of features as they are.
    """
    return _fits_of_videos(features, videos, positions, (penalty,), more, centred)[0]


def _fits_of_videos(features, videos, positions, penalties, more=None, centred=False):
    """Fit a head for each penalty: list of `LinearHead`. All else as `fit_videos`."""
    clips = [len(features[p]) for p in positions]
    x = np.concatenate([features[p] for p in positions])
    y = np.repeat([videos[p].label for p in positions], clips)
    share = np.repeat(1 / np.asarray(clips), clips)
    offsets = np.zeros_like(x)
    if centred:
        of_people = people_offsets(features, videos, positions)
        offsets = np.repeat([of_people[p] for p in positions], clips, axis=0)
    if more is not None:
        weight = share.sum() / len(more[1])
        x, y = np.concatenate([x, more[0]]), np.concatenate([y, more[1]])
        share = np.concatenate([share, np.full(len(more[1]), weight)])
        offsets = np.concatenate([offsets, np.zeros_like(more[0])])
    return fit_linear_heads(x, y, penalties, share, offsets)


def choose_penalty(features, videos, positions, penalties, more=None, centred=False):
    """Return the penalty whose heads judge the files of people left out best; of equals the larger.

    Groups of people within `positions` are left out in turn, and their files judged by the mean of their
    clips' logits. What counts is the likelihood: with so few files ranks change by leaps, and of two settings
    that rank alike the one is better whose errors are less sure.

    Args:
        features: position to `[clips, D]`.
        videos: list of `LabelledVideo`.
        positions: the videos to choose by; of others it matters only who is in them.
        penalties: to choose from.
        more: function of positions to further examples of their people, see `fit_videos`; or None.
        centred: see `fit_videos`.

    Raises:
        ValueError: if there is something to choose, and a single group of people holds all of a class.
    """
    return _InnerFolds(features, videos, penalties, more, centred).choose(positions)


class _InnerFolds:
    """Chooses a penalty as `choose_penalty` does, by other positions each time.

    Where A is left out, and then B, the same people remain as where B is, and then A: each fit is kept, and
    serves twice.
    """

    def __init__(self, features, videos, penalties, more=None, centred=False):
        self._features, self._videos, self._more, self._centred = features, videos, more, centred
        self._penalties = sorted(penalties, reverse=True)
        self._groups = np.asarray(identity_groups(videos))
        self._labels = np.asarray([v.label for v in videos])
        self._heads = {}

    def choose(self, positions):
        """Return the penalty to take for a head that is fitted to these positions."""
        return self._penalties[0] if len(self._penalties) == 1 else self.best(positions)[0]

    def best(self, positions):
        """Return (the best penalty, the cross-entropy of files with it; both classes count alike)."""
        positions = np.asarray(positions)
        logits = np.zeros((len(self._penalties), len(positions)))
        for group in np.unique(self._groups[positions]):
            inside = self._groups[positions] == group
            heads = self._heads_of(tuple(positions[~inside].tolist()))
            for row in np.flatnonzero(inside):
                logits[:, row] = [head(self._features[positions[row]]).mean() for head in heads]
        labels = self._labels[positions]
        losses = np.logaddexp(0, np.where(labels == 1, -logits, logits))
        of_penalty = np.mean([losses[:, labels == label].mean(axis=1) for label in (0, 1)], axis=0)
        best = int(np.argmin(of_penalty))
        return self._penalties[best], float(of_penalty[best])

    def _heads_of(self, train):
        if train not in self._heads:
            more = self._more and self._more(list(train))
            self._heads[train] = _fits_of_videos(
                self._features, self._videos, train, self._penalties, more, self._centred
            )
        return self._heads[train]


def held_out_logits(features, videos, penalties, more=None, keep=None, judged=None, centred=False):
    """Judge every video by a head that was fitted, and its penalty chosen, without a person in it.

    Args:
        features: position to `[clips, D]`.
        videos: list of `LabelledVideo`.
        penalties: to choose from.
        more: see `choose_penalty`.
        keep: function of training positions to those that are used, for learning curves; None: all.
        judged: position to the features that are judged; None: those that heads are fitted to.
        centred: see `fit_videos`.

    Returns:
        (position to the logits of its clips, group of people to the penalty chosen without it).
    """
    inner = _InnerFolds(features, videos, penalties, more, centred)
    logits, chosen = {}, {}
    for group, train, left_out in people_left_out(videos):
        train = keep(train) if keep else train
        chosen[group] = inner.choose(train)
        head = fit_videos(features, videos, train, chosen[group], more and more(train), centred)
        logits |= {position: head((judged or features)[position]) for position in left_out}
    return logits, chosen


def held_out_choices(settings, videos, penalties):
    """Judge every video by a head whose setting and penalty, too, were chosen without a person in it.

    Args:
        settings: dict of name to features, position to `[clips, D]` each; of equals the first is chosen.
        videos: list of `LabelledVideo`.
        penalties: to choose from, for each setting; of equals the largest.

    Returns:
        (position to the logits of its clips, group of people to the (name, penalty) chosen without it).
    """
    inner = {name: _InnerFolds(of_setting, videos, penalties) for name, of_setting in settings.items()}
    logits, chosen = {}, {}
    for group, train, left_out in people_left_out(videos):
        best = {name: folds.best(train) for name, folds in inner.items()}
        name = min(best, key=lambda candidate, of=best: of[candidate][1])
        chosen[group] = (name, best[name][0])
        head = fit_videos(settings[name], videos, train, best[name][0])
        logits |= {position: head(settings[name][position]) for position in left_out}
    return logits, chosen


def people_left_out(videos):
    """Yield each group of people who share a video as (group, positions without it, its own positions)."""
    groups = np.asarray(identity_groups(videos))
    for group in np.unique(groups):
        yield int(group), np.flatnonzero(groups != group).tolist(), np.flatnonzero(groups == group).tolist()
