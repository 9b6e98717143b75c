"""Cached features and the classifier's fit."""

import numpy as np
import pytest
from tolerances import TOLERANCES

from flowtell.training.classifier_trainer import ClassifierTraining, fit_classifier, pair_logits
from flowtell.training.flow_features import feature_step, flow_step, frozen_features, mirrored_flow, pair_flow
from flowtell.training.metrics import auc
from flowtell.training.models import ClassifierConfig, FlowImage, build_classifier, build_flow_network


@pytest.fixture(scope="module")
def classifier():
    return build_classifier(ClassifierConfig(input_size=32, head_units=(16,), width=16))


def test_cached_features_judge_as_the_whole_classifier(classifier):
    flow = np.random.default_rng(0).normal(0, 2, (5, 16, 16, 2)).astype(np.float16)
    cached = pair_logits(classifier, frozen_features(feature_step(classifier, "uv"), flow))
    whole = np.array(classifier(FlowImage("uv")(flow.astype(np.float32))))
    assert np.abs(cached - whole).max() <= TOLERANCES["float16_features_logit"].value * np.abs(whole).max()


def test_pair_flow_is_the_networks_in_px():
    network = build_flow_network("tiny")
    image1, image2 = np.random.default_rng(1).integers(0, 256, (2, 5, 64, 64, 3)).astype(np.uint8)
    flow = pair_flow(flow_step(network), image1, image2, batch_size=2)
    assert flow.shape == (5, 16, 16, 2)
    want = np.array(network(image1[4:].astype(np.float32), image2[4:].astype(np.float32))[-1]) * 20
    assert np.abs(flow[4].astype(np.float32) - want[0]).max() <= TOLERANCES["float16_flow_px"].value


def test_mirrored_flow_points_the_other_way():
    flow = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2)
    assert mirrored_flow(flow)[0, 0].tolist() == [[-2, 3], [0, 1]]


def test_fit_learns_and_leaves_the_frozen_blocks(classifier):
    rng = np.random.default_rng(2)
    labels = np.repeat([0, 1], 40)
    features = rng.normal(0, 1, (80, 2, 2, 32)).astype(np.float16)
    features[labels == 1, ..., :4] += 2
    frozen = [w.numpy() for w in classifier.blocks[0].weights]
    settings = ClassifierTraining(head_epochs=5, epochs=30, batch_size=16, learning_rate=3e-3)
    losses = fit_classifier(classifier, features, labels, settings)
    assert losses[-1] < losses[0]
    assert auc(pair_logits(classifier, features), labels) > 0.95
    assert all((a == b.numpy()).all() for a, b in zip(frozen, classifier.blocks[0].weights, strict=True))


def test_one_class_is_refused(classifier):
    with pytest.raises(ValueError, match="both real and fake"):
        fit_classifier(classifier, np.zeros((4, 2, 2, 32), np.float16), [1, 1, 1, 1], ClassifierTraining())
