"""A linear head against gradient descent's own condition, and inside a classifier."""

import keras
import numpy as np
import pytest

from flowtell.training.labels import LabelledVideo
from flowtell.training.linear_head import (
    LinearHead,
    fit_linear_head,
    fit_linear_heads,
    set_linear_head,
)
from flowtell.training.linear_judge import (
    choose_penalty,
    clip_features,
    fit_videos,
    held_out_choices,
    held_out_logits,
    people_offsets,
)
from flowtell.training.models import ClassifierConfig, build_classifier


def loss(head, x, y, penalty):
    """The loss as its definition states it: balanced cross-entropy and the ridge on standardised weights."""
    share = np.where(y == 1, 0.5 / (y == 1).sum(), 0.5 / (y == 0).sum())
    deviation = np.sqrt(share @ (x - share @ x) ** 2)
    losses = np.logaddexp(0, np.where(y == 1, -1, 1) * head(x))
    return share @ losses + penalty * x.shape[1] * 0.5 * np.sum((head.weights * deviation) ** 2)


@pytest.mark.parametrize("width", [3, 60])
def test_a_head_is_the_minimum_of_its_loss(width):
    rng = np.random.default_rng(width)
    y = (np.arange(40) % 4 == 0).astype(int)
    x = rng.normal(2, 3, (40, width)) + y[:, None] * np.linspace(0, 2, width)
    head = fit_linear_head(x, y, 0.01)
    least = loss(head, x, y, 0.01)
    for _ in range(20):
        nudge = 1e-3 * rng.normal(size=width)
        assert loss(LinearHead(head.weights + nudge, head.bias), x, y, 0.01) > least
    assert loss(LinearHead(head.weights, head.bias + 1e-3), x, y, 0.01) > least
    assert loss(LinearHead(head.weights, head.bias - 1e-3), x, y, 0.01) > least


def test_several_heads_are_what_each_is_alone():
    rng = np.random.default_rng(9)
    x, y = rng.normal(size=(12, 40)), np.arange(12) % 2
    together = fit_linear_heads(x, y, (0.1, 10.0))
    for penalty, head in zip((0.1, 10.0), together, strict=True):
        alone = fit_linear_head(x, y, penalty)
        assert head.weights == pytest.approx(alone.weights, rel=1e-6)
        assert head.bias == pytest.approx(alone.bias, rel=1e-6)


def test_an_example_of_twice_the_importance_counts_as_two():
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(12, 4)), np.arange(12) % 2
    twice = fit_linear_head(x, y, 0.1, np.where(np.arange(12) == 3, 2.0, 1.0))
    doubled = fit_linear_head(np.concatenate([x, x[3:4]]), np.append(y, y[3]), 0.1)
    assert twice.weights == pytest.approx(doubled.weights, rel=1e-6)
    assert twice.bias == pytest.approx(doubled.bias, rel=1e-6)


def test_a_feature_that_never_fires_weighs_nothing_and_one_class_is_refused():
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(size=(10, 2)), np.zeros((10, 1))], axis=1)
    assert fit_linear_head(x, np.arange(10) % 2, 0.1).weights[2] == 0
    with pytest.raises(ValueError, match="at least one real and one fake"):
        fit_linear_head(x, np.ones(10), 0.1)


def test_a_classifier_gives_the_logit_of_the_head_it_was_given():
    # with some seeds logits reach thousands, of which float32 cannot tell a thousandth
    keras.utils.set_random_seed(0)
    classifier = build_classifier(ClassifierConfig(input_size=32, head_units=(), width=16, blocks=4))
    assert len(classifier.blocks) == 4
    rng = np.random.default_rng(0)
    head = LinearHead(rng.normal(size=2 * 2 * 32), 0.25)
    set_linear_head(classifier, head)
    images = rng.uniform(0, 255, (6, 32, 32, 3)).astype(np.float32)
    frozen = np.asarray(classifier.frozen_features(images))
    assert frozen.shape == (6, 2, 2, 32)
    logits = np.asarray(classifier(images))
    assert logits == pytest.approx(frozen.reshape(6, -1) @ head.weights + 0.25, abs=1e-3)
    # A clip's logit is the mean of its pairs', as the detector has it without a temporal head.
    features = clip_features(classifier, frozen.reshape(2, 3, 2, 2, 32), mirror=False)
    assert head(features) == pytest.approx(logits.reshape(2, 3).mean(axis=1), abs=1e-3)
    with pytest.raises(ValueError, match="does not fit a classifier"):
        set_linear_head(classifier, LinearHead(head.weights[:32], 0.0))


def test_mirrored_features_are_those_of_the_mirrored_map():
    classifier = build_classifier(ClassifierConfig(input_size=32, head_units=(), width=16, blocks=4))
    maps = np.random.default_rng(2).normal(size=(1, 2, 2, 2, 32)).astype(np.float32)
    turned = clip_features(classifier, maps[:, :, :, ::-1])
    assert clip_features(classifier, maps) == pytest.approx(turned, abs=1e-6)
    assert not np.allclose(clip_features(classifier, maps, mirror=False), turned)


def videos_of(people):
    """A real and a fake video of each person."""
    return [
        LabelledVideo(f"{person}-{label}.mp4", label, frozenset([str(person)]), "swap" if label else "real")
        for person in range(people)
        for label in (0, 1)
    ]


def test_nobody_is_judged_by_a_head_that_saw_them():
    rng = np.random.default_rng(3)
    videos = videos_of(6)
    features = {p: rng.normal(size=(2, 30)) for p in range(len(videos))}
    before, chosen = held_out_logits(features, videos, (1e-4, 1e-2))
    assert sorted(before) == list(range(12))
    assert set(chosen.values()) <= {1e-4, 1e-2}
    # What a person's own videos look like changes the judgement of everybody but that person's other video.
    changed = dict(features) | {0: features[0] + 5}
    after, _ = held_out_logits(changed, videos, (1e-4, 1e-2))
    assert after[1] == pytest.approx(before[1])
    assert not np.allclose(after[2], before[2])


def test_a_penalty_is_chosen_by_the_positions_given_alone():
    rng = np.random.default_rng(4)
    videos = videos_of(8)
    labels = np.asarray([v.label for v in videos])
    features = {p: labels[p] * 2.0 + rng.normal(size=(2, 5)) for p in range(16)}
    inside = list(range(12))
    first = choose_penalty(features, videos, inside, (1e-3, 10.0))
    broken = features | {p: np.full((2, 5), np.nan) for p in range(12, 16)}
    assert choose_penalty(broken, videos, inside, (1e-3, 10.0)) == first


@pytest.mark.parametrize(("told_by", "best"), [(0.0, 10.0), (3.0, 1e-3)])
def test_the_penalty_chosen_is_larger_where_there_is_less_to_learn(told_by, best):
    rng = np.random.default_rng(7)
    videos = videos_of(8)
    features = {p: told_by * v.label + rng.normal(size=(2, 5)) for p, v in enumerate(videos)}
    assert choose_penalty(features, videos, range(16), (1e-3, 10.0)) == best


def test_a_penalty_cannot_be_chosen_where_one_person_holds_a_class():
    real, fake = videos_of(1)
    videos = [
        real,
        fake,
        *(LabelledVideo(f"{n}.mp4", 0, frozenset([f"other {n}"]), "real") for n in range(3)),
    ]
    features = {p: np.full((1, 2), float(p)) for p in range(5)}
    assert choose_penalty(features, videos, range(5), (0.1,)) == 0.1
    with pytest.raises(ValueError, match="at least one real and one fake"):
        choose_penalty(features, videos, range(5), (0.1, 1.0))


def test_a_setting_is_chosen_by_the_people_who_are_not_judged():
    """One setting tells fakes from originals; the other does so for one person alone, and loudly."""
    rng = np.random.default_rng(5)
    videos = videos_of(8)
    labels = np.asarray([v.label for v in videos])
    telling = {p: labels[p] * 2.0 + rng.normal(size=(2, 5)) for p in range(16)}
    loud = {p: 100.0 * labels[p] * (p < 2) + rng.normal(size=(2, 5)) for p in range(16)}
    logits, chosen = held_out_choices({"loud": loud, "telling": telling}, videos, (1e-3, 1e-1))
    assert sorted(logits) == list(range(16))
    assert {name for name, _ in chosen.values()} == {"telling"}
    # Nobody's own videos have a say in what they are judged by.
    changed = {"loud": loud, "telling": telling | {0: telling[0] + 50}}
    after, chosen_after = held_out_choices(changed, videos, (1e-3, 1e-1))
    assert after[1] == pytest.approx(logits[1])
    assert chosen_after[0] == chosen[0]
    assert not np.allclose(after[2], logits[2])


def test_of_equal_settings_the_first_is_chosen():
    videos = videos_of(4)
    features = {p: np.ones((1, 3)) for p in range(len(videos))}
    chosen = held_out_choices({"first": features, "second": features}, videos, (1e-3, 1e-1))[1]
    assert set(chosen.values()) == {("first", 1e-1)}


def test_the_offsets_of_people_bring_them_to_one_middle():
    rng = np.random.default_rng(6)
    videos = [*videos_of(3), LabelledVideo("alone.mp4", 0, frozenset(["alone"]), "real")]
    features = {p: rng.normal(size=(2, 4)) + 100 * (p // 2) for p in range(7)}
    inside = [0, 1, 2, 3, 6]
    offsets = people_offsets(features | {4: np.full((2, 4), np.nan)}, videos, inside)
    assert sorted(offsets) == inside
    middles = [np.mean([features[q].mean(axis=0) - offsets[q] for q in (p, p + 1)], axis=0) for p in (0, 2)]
    assert middles[0] == pytest.approx(middles[1])
    assert (offsets[0] == offsets[1]).all()
    # Of somebody without a fake nobody knows what is theirs and what is genuine.
    assert not offsets[6].any()


def test_a_head_learns_what_fakes_share_and_not_who_is_in_them():
    """The second feature is where somebody comes from; those of one place are in many more fakes."""
    videos = [
        LabelledVideo(f"{n}-{k}.mp4", int(k > 0), frozenset([str(n)]), "swap" if k else "real")
        for n in range(4)
        for k in range(2 if n < 2 else 6)
    ]
    features = {
        p: np.array([[v.label + noise, int(min(v.identities)) >= 2] for noise in (-1.0, 1.0)])
        for p, v in enumerate(videos)
    }
    as_they_are, centred = (
        fit_videos(features, videos, list(features), 1e-3, centred=c).weights for c in (False, True)
    )
    assert as_they_are[1] > 0.2 * as_they_are[0] > 0
    assert centred[0] > 0
    assert centred[1] == pytest.approx(0, abs=1e-9)
