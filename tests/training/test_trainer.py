"""The training loop: it learns, keeps the best, and goes on after a kill where it was."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from processes import run_on_a_full_disk

from flowtell import InputError
from flowtell.training.checkpoint import load_state, save_state
from flowtell.training.flow_source import load_flow_network
from flowtell.training.flow_task import FlowTask, train_flow
from flowtell.training.run_log import read_log
from flowtell.training.settings import FitSettings, FlowSettings
from flowtell.training.synthetic_flow import MotionConfig
from flowtell.training.textures import load_textures
from flowtell.training.trainer import fit, infinite_order

SETTINGS = FlowSettings(
    FitSettings(steps=6, epoch_steps=3, checkpoint_steps=1, batch_size=2, ema_momentum=0.9, keep="last"),
    network="tiny",
    validation_pairs=4,
    motion=MotionConfig(size_px=64, translation_px=4.0),
)
TOML = """
network = "tiny"
validation_pairs = 4
[fit]
steps = 6
epoch_steps = 3
checkpoint_steps = 1
batch_size = 2
learning_rate = 1e-4
schedule = "constant"
ema_momentum = 0.9
mixed_precision = false
clip_norm = 1e9
[motion]
size_px = 64
translation_px = 4
"""


def test_killed_and_started_again_it_ends_where_an_uninterrupted_run_does(tmp_path):
    settings = replace(SETTINGS, fit=replace(SETTINGS.fit, clip_norm=1e9))
    whole = train_flow(settings, tmp_path / "whole")
    (tmp_path / "run.toml").write_text(TOML)
    command = [sys.executable, "-m", "flowtell", "train", "flow", "--settings", str(tmp_path / "run.toml")]
    process = subprocess.Popen([*command, "--out", str(tmp_path / "parts")])
    while not (tmp_path / "parts" / "state.npz").exists():
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "parts" / "flow.json").exists(), "it had ended before it was killed"
    parts = train_flow(settings, tmp_path / "parts")
    assert parts.history == whole.history
    weights = [load_flow_network(tmp_path / name).get_weights() for name in ("whole", "parts")]
    assert all((a == b).all() for a, b in zip(*weights, strict=True))
    assert [row["step"] for row in read_log(tmp_path / "parts")] == [3, 6]
    # TensorBoard's own files, read by TensorFlow's reader of them.
    events = [
        (event.step, value.tag)
        for path in sorted((tmp_path / "parts" / "tensorboard").iterdir())
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    ]
    assert {(3, "loss"), (6, "loss"), (6, "val_epe")} <= set(events)


def test_pairs_of_a_teacher_that_are_never_learned_from_validate_too(tmp_path):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (3, 2, 64, 64, 3)).astype(np.uint8)
    apart = {}
    for name, u_px in (("still", 0), ("moved", 40)):
        np.savez(tmp_path / f"{name}.npz", frames=frames, flow=np.full((3, 64, 64, 2), u_px, np.float16))
        result = train_flow(SETTINGS, tmp_path / name, judged=tmp_path / f"{name}.npz")
        apart[name] = result.history[-1]["val_teacher_epe"]
    # An untrained network sees next to no motion: it is as far from the teacher as that says.
    assert apart["still"] < 5
    assert apart["moved"] == pytest.approx(40 * 2**0.5, abs=5)
    assert read_log(tmp_path / "moved")[-1]["val_teacher_epe"] == pytest.approx(apart["moved"])


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 2, 72, 64, 3), r"are of 64x72 px, and a network is judged by whole ones: .* multiples of 64 px"),
        ((0, 2, 64, 64, 3), "holds no teacher's pairs: frames"),
        ((2, 64, 64, 3), "holds no teacher's pairs: frames"),
    ],
)
def test_pairs_of_another_shape_are_refused_before_anything_is_trained(tmp_path, shape, message):
    flow = np.zeros((shape[0], *shape[-3:-1], 2), np.float16)
    np.savez(tmp_path / "a.npz", frames=np.zeros(shape, np.uint8), flow=flow)
    with pytest.raises(InputError, match=message):
        train_flow(SETTINGS, tmp_path / "run", judged=tmp_path / "a.npz")
    assert not (tmp_path / "run").exists()


def test_a_file_that_holds_no_pairs_is_said(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, frames=np.zeros((1, 2, 64, 64, 3), np.uint8), flow=np.zeros((1, 64, 64, 2), np.float16))
    whole = path.read_bytes()
    for data in (b"PK", b"", whole[: len(whole) // 2], whole[:-30]):
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"a\.npz' holds no teacher's pairs"):
            train_flow(SETTINGS, tmp_path / "run", judged=path)
    np.save(tmp_path / "a.npy", np.zeros(3))
    with pytest.raises(InputError, match=r"a\.npy' holds no teacher's pairs"):
        train_flow(SETTINGS, tmp_path / "run", judged=tmp_path / "a.npy")


def test_what_a_kill_left_half_written_is_removed(tmp_path):
    (tmp_path / "run").mkdir()
    left = tmp_path / "run" / "writing-999999999-state.npz"
    left.write_bytes(b"half")
    train_flow(SETTINGS, tmp_path / "run")
    assert not left.exists()


def test_a_run_goes_on_with_the_videos_it_began_with_alone(tmp_path, write_video):
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (96, 96, 3)).astype(np.uint8) for _ in range(2)]
    one, other = (write_video(f"{k}.mp4", [picture]) for k, picture in enumerate(pictures))
    first = train_flow(SETTINGS, tmp_path / "run", [one])
    with pytest.raises(InputError, match="holds a run with other settings"):
        train_flow(SETTINGS, tmp_path / "run", [other])
    assert train_flow(SETTINGS, tmp_path / "run", [one.rename(tmp_path / "renamed.mp4")]) == first
    with pytest.raises(InputError, match=r"the video '.*none\.mp4' cannot be read: No such file"):
        train_flow(SETTINGS, tmp_path / "run", [tmp_path / "none.mp4"])


@pytest.mark.parametrize("seed", [0, 7])
def test_no_pair_that_is_validated_on_is_trained_on(seed):
    settings = replace(SETTINGS, fit=replace(SETTINGS.fit, seed=seed), validation_pairs=8)
    task = FlowTask(settings, load_textures())
    held_out = {image.tobytes() for (images, _), _ in task.held_out for image in images}
    learned = {image.tobytes() for step in range(12) for image in task.batch(step)[0][0]}
    assert (len(held_out), len(learned)) == (8, 24)
    assert not held_out & learned


def test_a_folder_of_another_run_is_refused(tmp_path):
    (tmp_path / "settings.json").write_text("{}")
    with pytest.raises(InputError, match="other settings"):
        train_flow(SETTINGS, tmp_path)


def test_a_full_disk_is_one_sentence_and_leaves_no_state(tmp_path):
    (tmp_path / "run.toml").write_text(TOML)
    done = run_on_a_full_disk(
        [
            sys.executable,
            "-m",
            "flowtell",
            "train",
            "flow",
            "--settings",
            str(tmp_path / "run.toml"),
            "--out",
            str(tmp_path / "run"),
        ],
        largest_file_bytes=30_000,  # the state of the tiny network takes 150 kB
    )
    assert done.returncode == 2
    assert "cannot be written: File too large; make room and run the same command again" in done.stderr
    assert not (tmp_path / "run" / "state.npz").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": "huge"}, "no flow network 'huge'; there are full, full_normalised, small, tiny"),
        ({"teacher_share": 0.5}, "needs a file of the teacher's pairs"),
        ({"motion": MotionConfig(size_px=100)}, "size_px must be a multiple of 64"),
        ({"teacher_zoom": 0.0}, "teacher_zoom must be at least 1"),
        ({"teacher_shift_px": -1}, "teacher_shift_px at least 0"),
    ],
)
def test_settings_that_do_not_fit_are_named(change, message, tmp_path):
    with pytest.raises(InputError, match=message):
        train_flow(replace(SETTINGS, **change), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_teacher_that_nothing_is_learned_from_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"with a teacher_share of 0 nothing is learned from '.*pairs\.npz'"):
        train_flow(SETTINGS, tmp_path / "run", teacher=tmp_path / "pairs.npz")
    assert not (tmp_path / "run").exists()


def test_each_pass_shows_every_example_once_and_depends_on_the_position_alone():
    whole = infinite_order(5, 3, 0, 20)
    assert [sorted(whole[k : k + 5]) for k in (0, 5, 10, 15)] == [list(range(5))] * 4
    assert whole[:5] != whole[5:10]
    assert infinite_order(5, 3, 7, 6) == whole[7:13]


class _ScriptedTask:
    """A task whose validation says what a list says."""

    monitor, higher_is_better = "val_auc", True

    def __init__(self, figures):
        import keras

        self.model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        self.model.compute_loss = lambda x, y, y_pred, sample_weight, training=True: keras.ops.mean(y_pred**2)
        self.networks = {"network": self.model}
        self._figures = iter(figures)

    def batch(self, step):
        return np.ones((2, 1), np.float32), np.zeros((2, 1), np.float32), None

    def validate(self):
        return {"val_auc": next(self._figures)}


@pytest.mark.parametrize(("patience", "ran"), [(1, [0.5, 0.8, 0.7]), (2, [0.5, 0.8, 0.7, 0.6])])
def test_patience_ends_a_run_and_the_best_is_kept(patience, ran, tmp_path):
    settings = FitSettings(steps=10, epoch_steps=1, batch_size=2, patience=patience)
    result = fit(_ScriptedTask([0.5, 0.8, 0.7, 0.6, 0.9]), settings, tmp_path, {})
    assert (result.best_step, result.stopped_early) == (2, True)
    assert [row["val_auc"] for row in result.history] == ran
    again = fit(_ScriptedTask([]), settings, tmp_path, {})
    assert again == result


class _BreakingTask(_ScriptedTask):
    """A task whose third batch has no finite loss."""

    def batch(self, step):
        x, y, weight = super().batch(step)
        return (x * np.float32(np.nan) if step == 2 else x), y, weight


@pytest.mark.parametrize(
    ("task", "third", "message"),
    [
        (_ScriptedTask, float("nan"), "val_auc is nan at step 3"),
        (_ScriptedTask, float("inf"), "val_auc is inf at step 3"),
        (_BreakingTask, 0.9, "training's loss is nan at step 3"),
    ],
    ids=["nan", "inf", "loss"],
)
@pytest.mark.parametrize("keep", ["validation", "last"])
def test_what_is_not_finite_ends_the_run_and_is_never_kept(task, third, message, keep, tmp_path):
    kept = {}

    def look(step, _note):
        if step == 2:
            kept["first"] = (tmp_path / "network.weights.h5").read_bytes()

    settings = FitSettings(steps=4, epoch_steps=1, batch_size=2, keep=keep)
    with pytest.raises(InputError, match=message):
        fit(task([0.5, 0.4, third, 0.9]), settings, tmp_path, {}, look)
    weights = (tmp_path / "network.weights.h5").read_bytes()
    assert (weights == kept["first"]) == (keep == "validation")
    with np.load(tmp_path / "state.npz") as state:
        record = json.loads(str(state["record"]))
        assert all(np.isfinite(state[name]).all() for name in state.files if name != "record")
    assert (record["step"], record["best_step"]) == (2, 1 if keep == "validation" else 2)
    assert [row["step"] for row in read_log(tmp_path)] == [1, 2]


def test_weights_are_not_told_best_by_a_figure_that_is_not_there(tmp_path):
    task = _ScriptedTask([])
    task.validate = dict
    with pytest.raises(InputError, match="validation gives no val_auc, by which the best weights are told"):
        fit(task, FitSettings(steps=1, epoch_steps=1, batch_size=2), tmp_path, {})


def test_the_least_training_loss_is_kept_where_it_is_asked_for(tmp_path):
    settings = FitSettings(steps=4, epoch_steps=1, batch_size=2, keep="training_loss", learning_rate=0.01)
    result = fit(_ScriptedTask([0.9, 0.1, 0.1, 0.1]), settings, tmp_path, {})
    losses = [row["loss"] for row in result.history]
    assert result.best_step == 1 + int(np.argmin(losses)) == 4


def test_the_state_of_another_model_is_refused(tmp_path):
    import keras

    save_state(tmp_path / "state.npz", [keras.Variable(np.zeros(3, np.float32))], {"step": 4})
    same = keras.Variable(np.ones(3, np.float32))
    assert load_state(tmp_path / "state.npz", [same]) == {"step": 4}
    assert np.asarray(same).tolist() == [0, 0, 0]
    with pytest.raises(InputError, match="state of another model"):
        load_state(tmp_path / "state.npz", [keras.Variable(np.zeros(4, np.float32))])
