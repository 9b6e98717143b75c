"""Heads of the default detector's recipe: who is judged by whom, and what they learn from."""

from dataclasses import replace

import numpy as np
import pytest

from flowtell import InputError, default_bundle_path
from flowtell.training.judge_task import new_classifier
from flowtell.training.labels import identity_groups
from flowtell.training.models import FlowImage
from flowtell.training.prepared_set import PreparedSet
from flowtell.training.recipe import (
    JUDGED_NAME,
    Recipe,
    clip_feature_sets,
    fit_final,
    learned_features,
)
from flowtell.training.recipe_figures import cross_validate
from flowtell.training.settings import ClassifierSettings

LINEAR = ClassifierSettings(encoding="uv", input_size=32, head_units=(), blocks=4, pair_stride=2)


def test_each_person_is_judged_by_a_head_that_never_saw_them(made_set, run, dev_data):
    recipe = replace(Recipe(), classifier=LINEAR, aside=(), compressed=())
    imagenet = dev_data / "weights" / "vgg16_imagenet_notop.h5"
    figures = cross_validate(recipe, run, imagenet)
    assert figures["files"] == 12
    assert figures["auc"]["value"] > 0.9
    assert len(figures["penalties"]) == len(set(identity_groups(made_set.prepared.videos)))
    assert set(figures["penalties"]) <= set(recipe.penalties)
    assert figures["with_final_penalty"]["penalty"] in recipe.penalties
    # Features were computed once and serve every fit.
    assert len(list((run / "features-uv-32").glob("*.npy"))) == 12
    classifier = fit_final(recipe, run, imagenet)
    again = new_classifier(LINEAR)
    again.load_weights(run / "classifier" / "classifier.weights.h5")
    flow = np.concatenate([PreparedSet.open(run / JUDGED_NAME).flow(p)[0] for p in range(12)])
    images = FlowImage("uv")(flow.astype(np.float32))
    logits = np.asarray(again(images)).reshape(12, -1).mean(axis=1)
    assert logits == pytest.approx(np.asarray(classifier(images)).reshape(12, -1).mean(axis=1), abs=1e-4)
    # Odd positions are fakes.
    assert logits[1::2].min() > 0 > logits[::2].max()


def test_heads_learn_from_clips_that_were_compressed_again(made_set, run, dev_data):
    recipe = replace(Recipe(), classifier=LINEAR, compressed=(40,))
    imagenet = dev_data / "weights" / "vgg16_imagenet_notop.h5"
    _, _, own = clip_feature_sets(recipe, run, imagenet)
    learned = learned_features(recipe, run, imagenet, own, made_set.network)
    for position, features in own.items():
        copies = learned[position][len(features) :]
        assert (learned[position][: len(features)] == features).all()
        assert copies.shape == features.shape
        assert (copies != features).any(axis=1).all()
    # by what they learn from, heads differ; what they judge is the clips as they are
    scores = [
        cross_validate(replace(recipe, compressed=crfs), run, imagenet, made_set.network)["scores"]
        for crfs in ((), (40,))
    ]
    assert len(scores[0]) == len(scores[1]) == 12
    assert scores[0] != scores[1]
    with pytest.raises(InputError, match="heads are fitted to the flow in"):
        learned_features(recipe, run, imagenet, own, default_bundle_path())
