"""The default detector's recipe, on as little data as shows what its stages must hold."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from tolerances import TOLERANCES

from flowtell import InputError
from flowtell.training.feature_cache import FeatureCache
from flowtell.training.flow_features import feature_step, frozen_features, mirrored_flow
from flowtell.training.judge_task import new_classifier
from flowtell.training.prepared_set import PreparedSet
from flowtell.training.recipe import Recipe, cross_validate, fit_final
from flowtell.training.run_folder import claim, whole_file
from flowtell.training.settings import ClassifierSettings, FitSettings

SMALL = ClassifierSettings(
    FitSettings(steps=60, epoch_steps=20, batch_size=16, learning_rate=1e-3, keep="last"),
    input_size=32,
    head_units=(64,),
    pair_stride=2,
)


def test_each_person_is_judged_by_a_classifier_that_never_saw_them(made_set, tmp_path, dev_data):
    shutil.copytree(made_set.prepared.folder, tmp_path / "prepared")
    recipe = replace(Recipe(), folds=3, classifier=SMALL)
    imagenet = dev_data / "weights" / "vgg16_imagenet_notop.h5"
    figures = cross_validate(recipe, tmp_path, imagenet)
    assert figures["videos"] == 12
    assert figures["auc"] == 1.0
    fit_final(recipe, tmp_path, imagenet)
    assert (tmp_path / "classifier-colour_wheel" / "classifier.weights.h5").is_file()
    # Features were computed once and served every fit.
    assert len(list((tmp_path / "features-colour_wheel-imagenet").glob("*.npy"))) == 24


def test_features_are_of_every_second_pair_and_kept(made_set, tmp_path):
    settings = replace(SMALL, width=16)
    classifier = new_classifier(settings)
    cache = FeatureCache(tmp_path, made_set.prepared, classifier, "uv", 2)
    got = cache(3, mirrored=True)
    assert got.shape[:2] == (2, 2)
    flow = made_set.prepared.flow(3)[1, 2:3]
    want = frozen_features(feature_step(classifier, "uv"), mirrored_flow(flow))[0]
    difference = np.abs(got[1, 1].astype(np.float32) - want.astype(np.float32)).max()
    assert difference <= TOLERANCES["float16_features_logit"].value * np.abs(want).max()
    before = (tmp_path / "00003-mirrored.npy").stat().st_mtime_ns
    cache(3, mirrored=True)
    assert (tmp_path / "00003-mirrored.npy").stat().st_mtime_ns == before
    with pytest.raises(InputError, match="other settings"):
        FeatureCache(tmp_path, made_set.prepared, classifier, "colour_wheel", 2)


def test_a_set_without_flow_says_how_to_get_it(made_set):
    without = replace(made_set.prepared, index=made_set.prepared.index | {"flow": None})
    with pytest.raises(InputError, match="run flowtell prepare again with --flow"):
        without.flow(0)


def test_a_folder_without_a_set_says_how_to_make_one(tmp_path):
    with pytest.raises(InputError, match="holds no finished prepared set: run flowtell prepare --out"):
        PreparedSet.open(tmp_path)


def test_a_folder_of_other_settings_is_refused(tmp_path):
    claim(tmp_path, {"stride": 3})
    claim(tmp_path, {"stride": 3})
    with pytest.raises(InputError, match="holds a run with other settings"):
        claim(tmp_path, {"stride": 2})


def test_a_file_that_breaks_off_leaves_the_one_before(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_text("whole")
    with pytest.raises(OSError, match="full"), whole_file(path) as scratch:
        scratch.write_text("ha")
        raise OSError("the disk is full")
    assert path.read_text() == "whole"
    assert [p.name for p in tmp_path.iterdir()] == ["weights.bin"]
