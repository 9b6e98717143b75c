"""Fit PWC-Net."""

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import keras

from flowtell.training.flow_batches import FlowBatches, TeacherPairs
from flowtell.training.flow_loss import multiscale_loss
from flowtell.training.models.pwcnet import FLOW_DIVISOR, FLOW_PRESETS, build_flow_network
from flowtell.training.run_folder import claim, file_sha256, whole_file
from flowtell.training.synthetic_flow import MotionConfig
from flowtell.training.textures import load_textures

__all__ = ["FlowTraining", "train_flow"]


@dataclass(frozen=True)
class FlowTraining:
    """Settings of one run of the flow trainer.

    Attributes:
        preset: one of `FLOW_PRESETS`.
        steps: optimiser steps that the schedule of the learning rate is laid out for.
        stop_step: where to end before the schedule does, a multiple of `epoch_steps`; None to follow it
            through.
        epoch_steps: steps between checkpoints.
        batch_size: pairs a step.
        learning_rate: its peak; it rises over the first 3 % of the steps and falls as a cosine to 2 % of the
            peak.
        robust: whether to use the robust loss (fine-tuning).
        mixed_precision: whether convolutions compute in bfloat16 (weights, flow and warp stay in float32).
        ema_momentum: of the moving average of the weights that is what gets saved.
        seed: of weights and data.
        teacher_share: share of the examples taken from the teacher's pairs, where there are any.
        motion: size and motion of the synthetic pairs.
    """

    preset: str = "small"
    steps: int = 6000
    stop_step: int | None = None
    epoch_steps: int = 250
    batch_size: int = 8
    learning_rate: float = 4e-4
    robust: bool = False
    mixed_precision: bool = True
    ema_momentum: float = 0.998
    seed: int = 0
    teacher_share: float = 0.0
    motion: MotionConfig = field(default_factory=MotionConfig)


class _FlowFit(keras.Model):
    """The network with its loss, in the form that `fit` wants."""

    def __init__(self, network, robust):
        super().__init__(name="flow_fit")
        self.network = network
        self.robust = robust

    def call(self, images):
        return self.network(*images)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return multiscale_loss(y, y_pred, FLOW_DIVISOR, self.robust)


class _Checkpoint(keras.callbacks.Callback):
    """Saves the averaged weights for use and the whole state for resuming, after each epoch."""

    def __init__(self, network, folder):
        super().__init__()
        self.network, self.folder = network, folder
        self.started = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        optimizer = self.model.optimizer
        current = [keras.ops.convert_to_numpy(v) for v in self.network.trainable_variables]
        averages = [keras.ops.convert_to_numpy(v) for v in optimizer.variables if "average" in v.path]
        _assign(self.network.trainable_variables, averages)
        _save_whole(self.network, self.folder / "flow.weights.h5")
        _assign(self.network.trainable_variables, current)
        _save_whole(self.model, self.folder / "state.weights.h5")
        record = {
            "epoch": epoch + 1,
            "loss": float(logs["loss"]),
            "elapsed_s": time.monotonic() - self.started,
        }
        with (self.folder / "log.jsonl").open("a") as log:
            log.write(json.dumps(record) + "\n")


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _save_whole(model, path):
    with whole_file(path) as scratch:
        model.save_weights(scratch)


def train_flow(settings, folder, videos=(), teacher=None, init=None):
    """Train a flow network; resumes where an earlier call into the same folder stopped.

    Writes `flow.weights.h5` (averaged weights), `state.weights.h5` (everything needed to resume),
    `log.jsonl` and `settings.json` into the folder after each epoch.

    Args:
        settings: a `FlowTraining`.
        folder: where to write; made if need be.
        videos: videos whose key frames are painted with, besides the packaged pictures.
        teacher: path of a `TeacherPairs` file.
        init: weights (`.weights.h5` of the same preset) to start from.

    Returns:
        path of `flow.weights.h5`.

    Raises:
        ValueError: if the folder holds a run with other settings, or the preset is unknown.
        FileNotFoundError: if an input file is missing.
    """
    folder = Path(folder)
    if settings.preset not in FLOW_PRESETS:
        raise ValueError(f"no flow preset {settings.preset!r}; there are {', '.join(sorted(FLOW_PRESETS))}")
    if settings.teacher_share and teacher is None:
        raise ValueError(f"a teacher_share of {settings.teacher_share} needs a file of the teacher's pairs")
    inputs = {name: file_sha256(path) for name, path in (("teacher", teacher), ("init", init)) if path}
    claim(folder, {**asdict(settings), "videos": len(videos), **inputs})
    # One thread an example: the generator shares the cores with the network.
    cv2.setNumThreads(1)
    keras.utils.set_random_seed(settings.seed)
    policy = "mixed_bfloat16" if settings.mixed_precision else "float32"
    network = build_flow_network(settings.preset, dtype=policy)
    if init is not None:
        network.load_weights(init)
    model = _FlowFit(network, settings.robust)
    model.compile(optimizer=_optimizer(settings), loss=None)
    model.optimizer.build(model.network.trainable_variables)
    size = settings.motion.size_px
    image = keras.KerasTensor((1, size, size, 3))
    model((image, image))
    state = folder / "state.weights.h5"
    if state.exists():
        model.load_weights(state)
    done = int(model.optimizer.iterations) // settings.epoch_steps
    batches = FlowBatches(
        load_textures(videos),
        settings.motion,
        settings.batch_size,
        settings.epoch_steps,
        settings.seed,
        TeacherPairs.load(teacher) if teacher else None,
        settings.teacher_share,
        first_batch=done * settings.epoch_steps,
    )
    model.fit(
        batches,
        initial_epoch=done,
        epochs=(settings.stop_step or settings.steps) // settings.epoch_steps,
        callbacks=[_Checkpoint(network, folder)],
        shuffle=False,
        verbose=2,
    )
    return folder / "flow.weights.h5"


def _optimizer(settings):
    warmup = max(1, settings.steps * 3 // 100)
    schedule = keras.optimizers.schedules.CosineDecay(
        settings.learning_rate * 0.02,
        settings.steps - warmup,
        alpha=0.02,
        warmup_target=settings.learning_rate,
        warmup_steps=warmup,
    )
    return keras.optimizers.Adam(schedule, clipnorm=1.0, use_ema=True, ema_momentum=settings.ema_momentum)
