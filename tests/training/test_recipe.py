"""The default detector's recipe, on as little data as shows what its stages must hold."""

import json
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from tolerances import TOLERANCES

from flowtell import InputError, default_bundle_path
from flowtell.training import teacher_sets
from flowtell.training.clip_records import read_arrays
from flowtell.training.feature_cache import FeatureCache
from flowtell.training.flow_features import (
    feature_step,
    flow_step,
    frozen_features,
    mirrored_motion,
    pair_flow,
)
from flowtell.training.flow_source import load_flow_network, open_flow_source
from flowtell.training.flow_variants import (
    ClipVariant,
    FlowVariant,
    a_quarter,
    compressed_again,
    in_px_of,
    without_surround,
)
from flowtell.training.judge_task import new_classifier
from flowtell.training.models import seen_motion
from flowtell.training.prepared_set import PreparedSet
from flowtell.training.recipe import (
    FULL_FLOW_NAME,
    RAFT_NAME,
    Recipe,
    compute_full_flow,
    judged_flow_source,
    train_flow_network,
)
from flowtell.training.run_folder import claim, file_sha256, whole_file, write_json
from flowtell.training.settings import ClassifierSettings, FitSettings, FlowSettings
from flowtell.training.stored_flow import has_stored_flow, stored_flow_variant, write_stored_flow
from flowtell.training.study import study
from flowtell.training.synthetic_flow import MotionConfig
from flowtell.training.thinning import thinned

LINEAR = ClassifierSettings(encoding="uv", input_size=32, head_units=(), blocks=4, pair_stride=2)
SMALL = ClassifierSettings(
    FitSettings(steps=60, epoch_steps=20, batch_size=16, learning_rate=1e-3, keep="last"),
    input_size=32,
    head_units=(64,),
    pair_stride=2,
)


def test_fewer_clips_are_those_of_the_set_and_prepare_goes_on_from_them(made_set, tmp_path):
    source = tmp_path / "source"
    shutil.copytree(made_set.prepared.folder, source)
    prepared = PreparedSet.open(source)
    for position, entry in enumerate(prepared.index["videos"]):
        write_json(source / "clips" / f"{entry['number']:05d}.json", entry | {"video_sha256": str(position)})
    thinned(prepared, 1, tmp_path / "fewer")
    for position in range(2):
        fewer = read_arrays(tmp_path / "fewer" / "clips" / f"{position:05d}.tfrecord", "frames")
        assert (fewer == prepared.clips(position)[:1]).all()
        record = json.loads((tmp_path / "fewer" / "clips" / f"{position:05d}.json").read_text())
        assert len(record["clips"]) == 1
        assert record["shard"]["sha256"] == file_sha256(tmp_path / "fewer/clips" / record["shard"]["file"])
    settings = json.loads((tmp_path / "fewer" / "clips" / "settings.json").read_text())
    assert settings["clips_per_file"] == 1
    # Stopped in the middle it goes on, and leaves alone what is there.
    kept, lost = (tmp_path / "fewer" / "clips" / f"{position:05d}.json" for position in range(2))
    wanted, written = lost.read_bytes(), kept.stat().st_mtime_ns
    lost.unlink()
    thinned(prepared, 1, tmp_path / "fewer")
    assert (lost.read_bytes(), kept.stat().st_mtime_ns) == (wanted, written)


def test_a_camera_that_moves_as_a_whole_changes_nothing(made_set):
    flow = made_set.prepared.flow(1)
    steady = without_surround(flow)
    assert steady.shape == flow.shape
    assert without_surround(flow + np.float16([3, -2])) == pytest.approx(steady, abs=2e-2)


def test_flow_of_crops_of_another_size_is_told_in_px_of_the_usual_one(made_set):
    flow = made_set.prepared.flow(0)
    assert (in_px_of(2 * made_set.prepared.crop_size, made_set.prepared.crop_size)(flow) == 2 * flow).all()


def test_the_harder_crops_are_compressed_the_further_their_flow_is_off(made_set):
    flow = open_flow_source(made_set.network)
    plain = np.stack([flow.flow(clip[:3]) for clip in made_set.prepared.clips(1)])
    off = {}
    for crf in (1, 45):
        variant = ClipVariant(made_set.prepared, f"crf-{crf}", flow, compressed_again(crf))
        again = variant.flow(1)
        assert again.shape == plain.shape
        off[crf] = np.abs(again.astype(np.float32) - plain).mean()
        firsts, seconds = variant.frame_pairs(1)
        crops = compressed_again(crf)(made_set.prepared, 1)
        assert (firsts == crops[:, :-1]).all()
        assert (seconds == crops[:, 1:]).all()
    assert 0 < off[1] < off[45]


def test_what_is_shown_otherwise_keeps_its_residual_and_every_variant_its_frames(made_set, tmp_path):
    prepared, classifier = made_set.prepared, new_classifier(replace(SMALL, width=16))

    def motion(source, stride, shown=None):
        folder = tmp_path / f"{getattr(source, 'name', 'own')}-{stride}-{shown and shown[0]}"
        return FeatureCache(folder, source, classifier, "uv_residual", stride, shown)._motion(2)

    own = motion(prepared, 1)
    quarter = motion(prepared, 1, ("a_quarter", a_quarter))
    assert (quarter[..., :2] == own[..., :2] / 4).all()
    assert (quarter[..., 2] == own[..., 2]).all()
    assert np.abs(own[..., 2]).max() > 1
    for pairs in (slice(None, None, 2), slice(2)):
        some = FlowVariant(prepared, f"{pairs}", lambda s, p, of=pairs: s.flow(p)[:, of], pairs)
        assert (motion(some, 1) == own[:, pairs]).all()


def test_features_of_one_variant_are_not_taken_for_those_of_another(made_set):
    source = open_flow_source(made_set.network)
    other = replace(source, sha256="0" * 64)
    names = {
        made_set.prepared.sha256(),
        FlowVariant(made_set.prepared, "x", a_quarter).sha256(),
        *(ClipVariant(made_set.prepared, "x", s, compressed_again(1)).sha256() for s in (source, other)),
    }
    assert len(names) == 4


def test_stored_flow_is_of_the_video_and_the_network_it_was_stored_for(made_set, tmp_path):
    prepared, folder = made_set.prepared, tmp_path / "flow"
    assert not has_stored_flow(prepared, folder)
    folder.mkdir()
    np.save(folder / "00000.npy", np.zeros(1))
    with pytest.raises(InputError, match=r"nobody knows what '.*flow' was made with: remove it"):
        write_stored_flow(prepared, folder, "a", None, 2)
    shutil.rmtree(folder)
    positions = range(len(prepared.numbers))
    whose = {clip[0].tobytes(): position for position in positions for clip in prepared.clips(position)}

    def of_whom(first, _):
        return np.full((len(first), 16, 16, 2), whose[first[0].tobytes()])

    write_stored_flow(prepared, folder, "a", of_whom, 2)
    assert has_stored_flow(prepared, folder)
    variant = stored_flow_variant(prepared, folder, "x", 2)
    assert (variant.flow(3) == 3).all()
    with pytest.raises(InputError, match="holds a run with other settings"):
        write_stored_flow(prepared, folder, "b", of_whom, 2)
    with pytest.raises(InputError, match="holds a run with other settings"):
        stored_flow_variant(prepared, folder, "x", 1)


def test_the_study_measures_each_factor_against_the_recipe(made_set, run, dev_data):
    seen = replace(LINEAR, encoding="uv_residual")
    recipe = replace(Recipe(), classifier=seen, aside=(), lstm_steps=20, penalties=(6e-5, 6e-4))
    imagenet = dev_data / "weights" / "vgg16_imagenet_notop.h5"
    for name in ("crops-192", "crops-128"):
        shutil.copytree(made_set.prepared.folder, run / name)
    index = made_set.prepared.index
    without = [index["videos"][0] | {"clips": [], "shard": None, "flow": None}, *index["videos"][1:]]
    write_json(run / "crops-128" / "index.json", index | {"videos": without})
    flow_of_clip = partial(pair_flow, flow_step(load_flow_network(made_set.network)))
    write_stored_flow(made_set.prepared, run / RAFT_NAME, "a network", flow_of_clip, 2)
    shutil.copytree(made_set.network, run / FULL_FLOW_NAME)
    compute_full_flow(recipe, run)
    rows = list(study(recipe, run, imagenet, open_flow_source(made_set.network)))
    assert rows[0]["against_first"]["auc"] == {"value": 0.0, "interval": [0.0, 0.0]}
    assert {row["factor"] for row in rows} >= {"flow image", "flow source", "head", "camera motion"}
    by_setting = {row["setting"]: row for row in rows}
    # The same crops and the same flow, got another way: nothing is gained and nothing lost.
    for setting in ("192 px", "RAFT", "PWC-Net of full size"):
        assert by_setting[setting]["against_first"]["auc"]["value"] == pytest.approx(0, abs=1e-9)
    assert by_setting["120 px"]["figures"]["auc"]["value"] > 0.9
    assert by_setting["LSTM"]["figures"]["auc"]["value"] > 0.8
    assert "one a frame, as the original" not in by_setting
    assert rows[-1]["setting"] == "chosen without the judged"
    # In which one video gave no clip: fakes and originals alternate, so that a place off would turn it round.
    assert all(row["figures"]["files"] == 11 for row in rows if row["setting"] == "128 px")
    assert by_setting["128 px"]["figures"]["auc"]["value"] > 0.9
    assert all(row["figures"]["files"] == 12 for row in rows if row["setting"] != "128 px")


@pytest.mark.parametrize("refined", [False, True])
def test_each_run_of_the_flow_network_starts_where_the_one_before_it_ended(tmp_path, made_set, refined):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (2, 2, 64, 64, 3)).astype(np.uint8)
    (tmp_path / "teacher").mkdir()
    for u_px, name in enumerate(("test", "full") if refined else ("test", "train")):
        flow = np.full((2, 64, 64, 2), u_px, np.float16)
        np.savez(tmp_path / f"teacher/{name}.npz", frames=frames, flow=flow)
    fit = FitSettings(steps=1, epoch_steps=1, batch_size=1, keep="last")
    plain = FlowSettings(fit, "tiny", validation_pairs=4, motion=MotionConfig(size_px=64, translation_px=4))
    taught = replace(plain, teacher_share=1.0)
    recipe = replace(Recipe(), pretrain=plain, finetune=taught, refinements=(taught, taught, taught))
    train_flow_network(recipe, [], tmp_path, made_set.network if refined else None)
    runs = [("flow-pretrain", None), ("flow", "train")]
    if refined:
        runs = [("flow-refined-1", "full"), ("flow-refined-2", "full"), ("flow", "full")]
    weights = file_sha256(made_set.network / "flow.weights.h5") if refined else None
    for name, teacher in runs:
        claimed = json.loads((tmp_path / name / "settings.json").read_text())
        assert claimed["init"] == weights
        assert claimed["teacher"] == (teacher and file_sha256(tmp_path / f"teacher/{teacher}.npz"))
        assert claimed["judged"] == file_sha256(tmp_path / "teacher/test.npz")
        weights = file_sha256(tmp_path / name / "flow.weights.h5")


def test_heads_are_not_joined_with_a_flow_network_that_they_were_not_fitted_to(made_set, run, tmp_path):
    shutil.copytree(made_set.network, run / "flow")
    assert judged_flow_source(run).sha256 == file_sha256(run / "flow" / "flow.weights.h5")
    with pytest.raises(InputError, match=r"judged', which is not that of '.*default'"):
        judged_flow_source(run, default_bundle_path())


def test_whoever_flow_is_measured_by_is_in_no_set_to_learn_from(made_set, run, monkeypatch):
    # RAFT is not installed where tests run: what it would be shown is all that matters here.
    monkeypatch.setattr(
        teacher_sets, "write_teacher_pairs", lambda pairs, path, bar: np.savez(path, frames=pairs)
    )
    recipe = replace(Recipe(), teacher_pairs=2, full_teacher_pairs=3, judged_pairs=4)
    alone = run / "alone"
    alone.mkdir()
    teacher_sets.write_full_teacher(recipe, made_set.prepared, alone)
    assert sorted(path.name for path in (alone / "teacher").glob("*.npz")) == ["full.npz", "test.npz"]
    teacher_sets.write_teacher_sets(recipe, made_set.prepared, run)
    written = (run / "teacher/test.npz").stat().st_mtime_ns
    teacher_sets.write_full_teacher(recipe, made_set.prepared, run)
    assert (run / "teacher/test.npz").stat().st_mtime_ns == written
    assert file_sha256(run / "teacher/test.npz") == file_sha256(alone / "teacher/test.npz")
    shown = {name: np.load(run / f"teacher/{name}.npz")["frames"] for name in ("train", "test", "full")}
    frames = {name: {frame.tobytes() for pair in pairs for frame in pair} for name, pairs in shown.items()}
    assert not frames["test"] & (frames["train"] | frames["full"])
    held_out = len(shown["test"]) // recipe.judged_pairs
    learned = len(made_set.prepared.videos) - held_out
    assert 0 < held_out < learned
    assert len(shown["full"]) == recipe.full_teacher_pairs * learned
    # More people than before: others would be held out now.
    grown = run / "grown"
    shutil.copytree(made_set.prepared.folder, grown)
    write_json(grown / "index.json", made_set.prepared.index | {"more": "people"})
    (run / "teacher/full.npz").unlink()
    with pytest.raises(InputError, match="teacher' holds a run with other settings"):
        teacher_sets.write_full_teacher(recipe, PreparedSet.open(grown), run)


@pytest.mark.parametrize("encoding", ["uv", "uv_residual"])
def test_features_are_of_every_second_pair_and_kept(made_set, tmp_path, encoding):
    settings = replace(SMALL, width=16)
    classifier = new_classifier(settings)
    cache = FeatureCache(tmp_path, made_set.prepared, classifier, encoding, 2)
    got = cache(3, mirrored=True)
    assert got.shape[:2] == (2, 2)
    flow, clip = made_set.prepared.flow(3)[1, 2:3], made_set.prepared.clips(3)[1]
    motion = np.asarray(seen_motion(encoding, flow, clip[2:3], clip[3:4]))
    want = frozen_features(feature_step(classifier, encoding), mirrored_motion(motion))[0]
    difference = np.abs(got[1, 1].astype(np.float32) - want.astype(np.float32)).max()
    assert difference <= TOLERANCES["float16_features_logit"].value * np.abs(want).max()
    before = (tmp_path / "00003-mirrored.npy").stat().st_mtime_ns
    cache(3, mirrored=True)
    assert (tmp_path / "00003-mirrored.npy").stat().st_mtime_ns == before
    with pytest.raises(InputError, match="other settings"):
        FeatureCache(tmp_path, made_set.prepared, classifier, "colour_wheel", 2)
    trained_further = new_classifier(settings)
    kernel = trained_further.blocks[3].convs[2].kernel
    kernel.assign(1.01 * kernel)
    halved = replace(settings, fit=replace(settings.fit, mixed_precision=True))
    for other in (trained_further, new_classifier(halved)):
        with pytest.raises(InputError, match="other settings"):
            FeatureCache(tmp_path, made_set.prepared, other, encoding, 2)


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


def test_a_folder_that_cannot_be_claimed_says_so(tmp_path):
    (tmp_path / "settings.json").mkdir()
    with pytest.raises(InputError, match=r"settings\.json' cannot be read and written"):
        claim(tmp_path, {"stride": 2})


def test_a_file_that_breaks_off_leaves_the_one_before(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_text("whole")
    with pytest.raises(OSError, match="full"), whole_file(path) as scratch:
        scratch.write_text("ha")
        raise OSError("the disk is full")
    assert path.read_text() == "whole"
    assert [p.name for p in tmp_path.iterdir()] == ["weights.bin"]
