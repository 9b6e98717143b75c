"""What is computed once from face crops: flow, mirrored flow, and the features of what is frozen."""

import numpy as np
from tolerances import TOLERANCES

from flowtell.training.flow_features import (
    feature_step,
    flow_step,
    frozen_features,
    mirrored_motion,
    pair_flow,
)
from flowtell.training.models import (
    ClassifierConfig,
    FlowImage,
    build_classifier,
    build_flow_network,
    seen_motion,
)


def test_cached_features_judge_as_the_whole_classifier():
    classifier = build_classifier(ClassifierConfig(input_size=32, head_units=(16,), width=16))
    flow = np.random.default_rng(0).normal(0, 2, (5, 16, 16, 2)).astype(np.float16)
    features = frozen_features(feature_step(classifier, "uv"), flow)
    cached = np.array(classifier.judge_features(features.astype(np.float32)))
    whole = np.array(classifier(FlowImage("uv")(flow.astype(np.float32))))
    assert np.abs(cached - whole).max() <= TOLERANCES["float16_features_logit"].value * np.abs(whole).max()


def test_pair_flow_is_the_networks_in_px():
    network = build_flow_network("tiny")
    image1, image2 = np.random.default_rng(1).integers(0, 256, (2, 5, 64, 64, 3)).astype(np.uint8)
    flow = pair_flow(flow_step(network), image1, image2, batch_size=2)
    assert flow.shape == (5, 16, 16, 2)
    want = np.array(network(image1[4:].astype(np.float32), image2[4:].astype(np.float32))[-1]) * 20
    assert np.abs(flow[4].astype(np.float32) - want[0]).max() <= TOLERANCES["float16_flow_px"].value


def test_mirrored_motion_points_the_other_way():
    flow = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2)
    assert mirrored_motion(flow)[0, 0].tolist() == [[-2, 3], [0, 1]]


def test_mirrored_motion_is_that_of_mirrored_frames():
    rng = np.random.default_rng(2)
    image1, image2 = rng.integers(0, 256, (2, 1, 32, 32, 3)).astype(np.float32)
    flow = rng.normal(0, 4, (1, 8, 8, 2)).astype(np.float32)
    mirrored_flow = mirrored_motion(flow)
    want = seen_motion("uv_residual", mirrored_flow, image1[:, :, ::-1], image2[:, :, ::-1])
    got = mirrored_motion(np.array(seen_motion("uv_residual", flow, image1, image2)))
    assert np.abs(got - np.array(want)).max() <= TOLERANCES["residual_levels"].value
