"""The networks: sizes, shapes, and what is frozen."""

import ast
from pathlib import Path

import h5py
import numpy as np
import pytest
from tolerances import TOLERANCES

import flowtell.training.models as models
from flowtell.training.models import (
    ClassifierConfig,
    build_classifier,
    build_detector,
    build_flow_network,
    load_imagenet_weights,
)


def count(weights):
    return sum(int(np.prod(w.shape)) for w in weights)


@pytest.mark.parametrize("preset", ["full", "full_normalised"])
def test_full_pwcnet_has_the_papers_parameters(preset):
    assert build_flow_network(preset).count_params() == 9_374_274


def test_small_pwcnet_has_no_dense_connections():
    network = build_flow_network("small")
    assert not network.config.dense
    assert network.count_params() == 4_705_064


def test_unknown_preset_is_named():
    with pytest.raises(ValueError, match=r"no flow preset 'huge'.*full, full_normalised, small, tiny"):
        build_flow_network("huge")


def test_classifier_has_the_originals_parameters_and_frozen_layers():
    classifier = build_classifier()
    assert count(classifier.weights) == 50_378_561
    assert count(classifier.trainable_weights) == 42_743_297
    assert count(classifier.non_trainable_weights) == 7_635_264


def test_classifier_head_width_is_a_setting():
    narrow = build_classifier(ClassifierConfig(head_units=(512, 512)))
    assert count(narrow.weights) == 14_714_688 + (4608 + 1) * 512 + (512 + 1) * 512 + 513


def test_pwcnet_returns_levels_six_to_two():
    network = build_flow_network("tiny")
    image = np.zeros((2, 64, 128, 3), np.float32)
    assert [tuple(f.shape) for f in network(image, image)] == [
        (2, 64 >> level, 128 >> level, 2) for level in (6, 5, 4, 3, 2)
    ]


@pytest.fixture(scope="module")
def tiny_detector():
    classifier = build_classifier(ClassifierConfig(input_size=32, head_units=(8,), width=16))
    return build_detector(build_flow_network("tiny"), classifier, "uv", 64)


def test_detector_encodes_shared_frames_as_pairs_do(tiny_detector):
    clips = np.random.default_rng(0).integers(0, 256, (2, 4, 64, 64, 3)).astype(np.uint8)
    got = tiny_detector(clips)
    assert got["pair_logits"].shape == (2, 3)
    pairs = np.stack([clips[:, :-1], clips[:, 1:]], 2).reshape(6, 2, 64, 64, 3)
    alone = np.array(tiny_detector(pairs)["pair_logits"]).reshape(2, 3)
    assert np.abs(np.array(got["pair_logits"]) - alone).max() <= TOLERANCES["batched_keras_logit"].value


def test_detector_divides_logits_by_the_temperature(tiny_detector):
    clips = np.random.default_rng(1).integers(0, 256, (1, 3, 64, 64, 3)).astype(np.uint8)
    cooled = build_detector(tiny_detector.network, tiny_detector.classifier, "uv", 64, temperature=2.0)
    want = np.array(tiny_detector(clips)["clip_logit"]) / 2
    assert np.array(cooled(clips)["clip_logit"]) == pytest.approx(want)


def test_detector_refuses_a_size_that_does_not_halve_six_times(tiny_detector):
    with pytest.raises(ValueError, match="multiple of 64"):
        build_detector(tiny_detector.network, tiny_detector.classifier, "uv", 100)


def test_imagenet_weights_come_from_keras_file(tmp_path):
    classifier = build_classifier(ClassifierConfig(input_size=32, head_units=(8,)))
    path = tmp_path / "vgg16.h5"
    rng = np.random.default_rng(2)
    with h5py.File(path, "w") as file:
        for block in range(1, 6):
            for index, conv in enumerate(classifier.blocks[block - 1].convs, start=1):
                group = file.create_group(f"block{block}_conv{index}")
                names = [f"block{block}_conv{index}_{kind}_1:0" for kind in "Wb"]
                group.attrs["weight_names"] = [name.encode() for name in names]
                for name, weight in zip(names, (conv.kernel, conv.bias), strict=True):
                    group[name] = rng.normal(size=weight.shape).astype(np.float32)
        last = np.array(file["block5_conv3/block5_conv3_W_1:0"])
    load_imagenet_weights(classifier, path)
    assert (classifier.blocks[4].convs[2].kernel.numpy() == last).all()


def test_a_file_without_vgg16_is_refused(tmp_path):
    path = tmp_path / "empty.h5"
    h5py.File(path, "w").close()
    with pytest.raises(ValueError, match="layer block1_conv1"):
        load_imagenet_weights(build_classifier(ClassifierConfig(input_size=32, head_units=(8,))), path)


def test_models_import_no_backend():
    folder = Path(models.__file__).parent
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert not {n.split(".")[0] for n in names} & {"tensorflow", "torch", "jax"}, path.name
