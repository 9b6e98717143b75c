"""The recipe's stages, on as little data as shows what they must hold."""

from dataclasses import replace

import numpy as np
import pytest
from tolerances import TOLERANCES

from flowtell.training.classifier_trainer import ClassifierTraining
from flowtell.training.clip_store import load_clips, store_clips
from flowtell.training.flow_features import flow_step, pair_flow
from flowtell.training.labels import read_labels
from flowtell.training.models import build_flow_network
from flowtell.training.recipe import Recipe, cross_validate, extract_flow
from flowtell.training.run_folder import claim, whole_file

NAMES = ["101", "102", "201", "202", "301", "302"]


@pytest.fixture
def labelled(tmp_path):
    rows = [f"{name}.mp4,{'fake' if int(name) % 2 else 'real'}" for name in NAMES]
    for name in NAMES:
        (tmp_path / f"{name}.mp4").touch()
    (tmp_path / "labels.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    return read_labels(tmp_path / "labels.csv")


def test_held_out_people_are_judged_by_what_was_learned_from_others(labelled, tmp_path, dev_data):
    folder = tmp_path / "run" / "flow-of-clips"
    claim(folder, {"weights": "none: made by hand"})
    rng = np.random.default_rng(0)
    for index, video in enumerate(labelled):
        # Fakes flicker: each pixel moves on its own. Originals move as one.
        shape = (1, 3, 16, 16, 2)
        flow = rng.normal(0, 3, shape if video.label else (1, 3, 1, 1, 2)) + np.zeros(shape)
        np.save(folder / f"{index:05d}.npy", flow.astype(np.float16))
    settings = ClassifierTraining(
        head_units=(64,), head_epochs=40, epochs=0, batch_size=6, head_learning_rate=1e-3
    )
    recipe = replace(Recipe(), folds=3, classifier=settings)
    figures = cross_validate(
        recipe, labelled, tmp_path / "run", dev_data / "weights" / "vgg16_imagenet_notop.h5"
    )
    assert figures["videos"] == 6
    assert figures["auc"] == 1.0


def test_flow_is_stored_of_every_third_pair(labelled, tmp_path):
    recipe = replace(Recipe(), finetune=replace(Recipe().finetune, preset="tiny"))
    (tmp_path / "clips").mkdir()
    (tmp_path / "flow").mkdir()
    frames = np.random.default_rng(0).integers(0, 256, (2, 17, 64, 64, 3)).astype(np.uint8)
    np.save(tmp_path / "clips" / "00000.npy", frames)
    (tmp_path / "clips" / "00000.json").write_text('{"tracks": [0, 0], "start_s": [0, 1]}')
    network = build_flow_network("tiny")
    network.save_weights(tmp_path / "flow" / "flow.weights.h5")
    extract_flow(recipe, 1, tmp_path)
    stored = np.load(tmp_path / "flow-of-clips" / "00000.npy")
    assert stored.shape == (2, 6, 16, 16, 2)
    want = pair_flow(flow_step(network), frames[1, 15:16], frames[1, 16:17])[0]
    assert np.abs(stored[1, 5].astype(np.float32) - want).max() <= TOLERANCES["float16_flow_px"].value


def test_a_video_without_a_face_is_left_out_with_its_reason(tmp_path, tiny_bundle, write_video):
    grey = write_video("grey.mp4", [np.full((96, 96, 3), k, np.uint8) for k in range(20)])
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video")
    dropped = store_clips([grey, broken], tmp_path / "clips", tiny_bundle, 2)
    assert [path for path, _ in dropped] == [grey, broken]
    assert dropped[0][1] == "no clip of full length"
    assert "cannot be opened as a video" in dropped[1][1]
    assert load_clips(tmp_path / "clips", 0) is None


def test_stored_clips_are_the_engines_and_stay(tmp_path, tiny_bundle, dev_data):
    video = dev_data / "clips" / "celebdf" / "real" / "id26_0006_c.mp4"
    assert store_clips([video], tmp_path, tiny_bundle, 2) == []
    clips = load_clips(tmp_path, 0)
    assert clips.frames.shape[1:] == (17, 64, 64, 3)
    assert len(clips.frames) == len(clips.tracks) == len(clips.start_s) == 2
    before = (tmp_path / "00000.json").stat().st_mtime_ns
    store_clips([video], tmp_path, tiny_bundle, 2)
    assert (tmp_path / "00000.json").stat().st_mtime_ns == before


def test_a_folder_of_other_settings_is_refused(tmp_path):
    claim(tmp_path, {"stride": 3})
    claim(tmp_path, {"stride": 3})
    with pytest.raises(ValueError, match="holds a run with other settings"):
        claim(tmp_path, {"stride": 2})


def test_a_file_that_breaks_off_leaves_the_one_before(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_text("whole")
    with pytest.raises(OSError, match="full"), whole_file(path) as scratch:
        scratch.write_text("ha")
        raise OSError("the disk is full")
    assert path.read_text() == "whole"
    assert [p.name for p in tmp_path.iterdir()] == ["weights.bin"]
