"""Classifiers whose head is linear: fitted to few videos, and judged by people they never saw.

A clip is described by the mean over its pairs of the last feature map, of the face and of its mirror image
alike, so that the head weighs both halves of a face the same. Its logit is then the mean of its pairs'.
"""

import numpy as np

from flowtell.training.flow_features import in_batches
from flowtell.training.labels import identity_folds, identity_groups
from flowtell.training.linear_head import fit_linear_head
from flowtell.training.metrics import auc

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
_INNER_FOLDS = 5


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
    return fit_linear_head(x, y, penalty, share, offsets)


def choose_penalty(features, videos, positions, penalties, more=None, centred=False):
    """Return the penalty that ranks files best in folds by identity within `positions`; of equals the larger.

    Args:
        features: position to `[clips, D]`.
        videos: list of `LabelledVideo`.
        positions: the videos to choose by; no other is looked at.
        penalties: to choose from.
        more: function of positions to further examples of their people, see `fit_videos`; or None.
        centred: see `fit_videos`.
    """
    if len(penalties) == 1:
        return penalties[0]
    ordered = sorted(penalties, reverse=True)
    reached = {p: _inner_auc(features, videos, positions, p, more, centred) for p in ordered}
    return max(reached, key=reached.get)


def _inner_auc(features, videos, positions, penalty, more=None, centred=False):
    """Return how well files within `positions` are ranked by heads fitted to the other people among them."""
    inside = [videos[p] for p in positions]
    folds = np.asarray(identity_folds(inside, min(_INNER_FOLDS, len(set(identity_groups(inside))))))
    positions = np.asarray(positions)
    scores = np.zeros(len(positions))
    for fold in np.unique(folds):
        train = positions[folds != fold].tolist()
        head = fit_videos(features, videos, train, penalty, more and more(train), centred)
        for row in np.flatnonzero(folds == fold):
            scores[row] = _file_score(head(features[positions[row]]))
    return auc(scores, [videos[p].label for p in positions])


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
    logits, chosen = {}, {}
    for group, train, left_out in people_left_out(videos):
        train = keep(train) if keep else train
        penalty = choose_penalty(features, videos, train, penalties, more, centred)
        head = fit_videos(features, videos, train, penalty, more and more(train), centred)
        chosen[group] = penalty
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
    candidates = [(name, p) for name in settings for p in sorted(penalties, reverse=True)]
    logits, chosen = {}, {}
    for group, train, left_out in people_left_out(videos):
        best = max(candidates, key=lambda c, of=train: _inner_auc(settings[c[0]], videos, of, c[1]))
        head = fit_videos(settings[best[0]], videos, train, best[1])
        chosen[group] = best
        logits |= {position: head(settings[best[0]][position]) for position in left_out}
    return logits, chosen


def people_left_out(videos):
    """Yield each group of people who share a video as (group, positions without it, its own positions)."""
    groups = np.asarray(identity_groups(videos))
    for group in np.unique(groups):
        yield int(group), np.flatnonzero(groups != group).tolist(), np.flatnonzero(groups == group).tolist()


def _file_score(logits):
    # tanh does not overflow, whatever the logit
    return float(np.mean(0.5 * (1 + np.tanh(0.5 * logits))))
