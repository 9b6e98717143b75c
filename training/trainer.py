"""The one training loop, on any Keras backend: flow network, classifier and cnn_lstm are its tasks."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import keras
import numpy as np
from keras import ops

from flowtell import InputError
from flowtell.training.checkpoint import load_state, save_state
from flowtell.training.run_folder import claim, sweep, whole_file
from flowtell.training.run_log import RunLog

__all__ = ["FitResult", "Task", "fit", "infinite_order"]

STATE_NAME = "state.npz"


class Task(Protocol):
    """What the loop runs.

    Attributes:
        model: a built `keras.Model` with its own `compute_loss`.
        networks: name to the Keras model that is kept as `NAME.weights.h5`.
        monitor: name of the validation's figure that says which weights are best.
        higher_is_better: whether more of it is better.
    """

    model: keras.Model
    networks: dict
    monitor: str
    higher_is_better: bool

    def batch(self, step):
        """Return (x, y, sample weights or None), arrays; the same for the same step, whatever ran before."""

    def validate(self):
        """Return name to figure of the model as it is; always the same names."""


@dataclass(frozen=True)
class FitResult:
    """How a run ended.

    Attributes:
        history: a dict for each epoch: `epoch`, `step`, `loss` and the validation's figures.
        best_step: the step of the weights that were kept.
        stopped_early: whether patience ended it.
    """

    history: list
    best_step: int
    stopped_early: bool


def fit(task, settings, folder, claimed, progress=None):
    """Train; resumes exactly where an earlier call into the same folder was stopped, even by a kill.

    Writes into the folder: `settings.json`, `log.csv`, `tensorboard/`, `state.npz` (everything needed to go
    on) and `NAME.weights.h5` of each network, the kept ones.

    Args:
        task: a `Task`.
        settings: a `FitSettings`.
        folder: where to write; made if need be.
        claimed: what the folder belongs to, as JSON can hold it: all settings and hashes of the data.
        progress: called with (step, a note) after each step.

    Returns:
        a `FitResult`.

    Raises:
        InputError: the folder holds a run with other settings, nothing can be written to it, or a figure is
            not finite: the weights that were best before, and the checkpoint, stay as they are.
    """
    folder = Path(folder)
    claim(folder, claimed)
    try:
        # what a kill left half-written is as large as the checkpoint
        sweep(folder)
        return _Loop(task, settings, folder, progress).run()
    except OSError as error:
        raise InputError(
            f"the run in '{folder}' cannot be written: {error.strerror or error}; make room and run the same "
            "command again to go on"
        ) from error


class _Loop:
    def __init__(self, task, settings, folder, progress):
        self.task, self.settings, self.folder = task, settings, folder
        self.progress = progress or (lambda step, note: None)
        self.model = task.model
        self.model.compile(optimizer=_optimizer(settings), loss=None)
        self.optimizer = self.model.optimizer
        self.optimizer.build(self.model.trainable_variables)
        self.state = {
            "step": 0,
            "loss_sum": 0.0,
            "loss_steps": 0,
            "history": [],
            "best": None,
            "best_step": 0,
            "stale": 0,
            "ended": None,
        }

    def run(self):
        state = load_state(self.folder / STATE_NAME, self._variables())
        self.state = state or self.state
        log = RunLog(self.folder)
        first, last = self.state["step"], self.settings.last_step
        checkpoint_steps = self.settings.checkpoint_steps or self.settings.epoch_steps
        try:
            if self.state["ended"] is None:
                for step, (x, y, weight) in enumerate(_feed(self.task, first, last), start=first + 1):
                    self._step(x, y, weight)
                    is_epoch = step % self.settings.epoch_steps == 0 or step == last
                    if is_epoch:
                        self._end_epoch(log)
                    if is_epoch or step % checkpoint_steps == 0:
                        save_state(self.folder / STATE_NAME, self._variables(), self.state)
                    if self.state["ended"] is not None:
                        break
        finally:
            log.close()
        early = self.state["ended"] == "patience"
        return FitResult(self.state["history"], self.state["best_step"], early)

    def _variables(self):
        return [*self.model.variables, *self.optimizer.variables]

    def _step(self, x, y, weight):
        # Without a reset Keras would give the mean over all steps so far.
        self.model.reset_metrics()
        loss = self.model.train_on_batch(x, y, sample_weight=weight, return_dict=True)["loss"]
        self.state["step"] += 1
        self._require_finite("training's loss", float(loss))
        self.state["loss_sum"] += float(loss)
        self.state["loss_steps"] += 1
        self.progress(self.state["step"], f"loss {float(loss):.4g}")

    def _end_epoch(self, log):
        state, settings = self.state, self.settings
        loss = state["loss_sum"] / state["loss_steps"]
        state["loss_sum"], state["loss_steps"] = 0.0, 0
        current = self._use_averages()
        figures = self.task.validate()
        if settings.keep == "validation" and self.task.monitor not in figures:
            raise InputError(
                f"validation gives no {self.task.monitor}, by which the best weights are told: let it judge "
                "more, or set keep to 'training_loss' or 'last'"
            )
        for name, value in figures.items():
            self._require_finite(name, value)
        row = {"epoch": len(state["history"]) + 1, "step": state["step"], "loss": loss, **figures}
        state["history"].append(row)
        if self._is_best(row):
            state["best_step"], state["stale"] = state["step"], 0
            for name, network in self.task.networks.items():
                with whole_file(self.folder / f"{name}.weights.h5") as scratch:
                    network.save_weights(scratch)
        else:
            state["stale"] += 1
        self._restore(current)
        log.write(state["history"])
        if settings.patience is not None and state["stale"] >= settings.patience:
            state["ended"] = "patience"
        elif state["step"] == settings.last_step:
            state["ended"] = "steps"

    def _require_finite(self, name, value):
        """End the run before anything of it is kept: weights do not come back from there."""
        if not math.isfinite(value):
            raise InputError(
                f"{name} is {value} at step {self.state['step']}: name another folder and set a lower "
                f"learning_rate or clip_norm; what was kept in '{self.folder}' before stays"
            )

    def _is_best(self, row):
        if self.settings.keep == "last":
            return True
        validated = self.settings.keep == "validation"
        value = row[self.task.monitor] if validated else -row["loss"]
        if validated and not self.task.higher_is_better:
            value = -value
        if self.state["best"] is not None and value <= self.state["best"]:
            return False
        self.state["best"] = value
        return True

    def _use_averages(self):
        """Put the averaged weights in place, where they are averaged; return those that were there."""
        if self.settings.ema_momentum is None:
            return None
        variables = self.model.trainable_variables
        current = [ops.convert_to_numpy(v) for v in variables]
        averages = [v for v in self.optimizer.variables if "average" in v.path]
        for variable, average in zip(variables, averages, strict=True):
            variable.assign(average)
        return current

    def _restore(self, values):
        if values is not None:
            for variable, value in zip(self.model.trainable_variables, values, strict=True):
                variable.assign(value)


def _optimizer(settings):
    rate = settings.learning_rate
    if settings.schedule == "cosine":
        warmup = max(1, settings.steps * 3 // 100)
        rate = keras.optimizers.schedules.CosineDecay(
            rate * 0.02,
            max(1, settings.steps - warmup),
            alpha=0.02,
            warmup_target=rate,
            warmup_steps=warmup,
        )
    average = (
        {} if settings.ema_momentum is None else {"use_ema": True, "ema_momentum": settings.ema_momentum}
    )
    return keras.optimizers.Adam(rate, clipnorm=settings.clip_norm, **average)


def _feed(task, first, last):
    """Yield the batches of steps `first` to `last - 1`; TensorFlow makes the next ones while one is used."""
    if keras.backend.backend() != "tensorflow" or first >= last:
        for step in range(first, last):
            # PyTorch's `train_on_batch` leaves arrays as they are, and a loss cannot mix them with tensors.
            yield keras.tree.map_structure(_as_tensor, task.batch(step))
        return
    import tensorflow as tf

    sample = task.batch(first)
    dtypes = [array.dtype for array in tf.nest.flatten(sample) if array is not None]

    @tf.autograph.experimental.do_not_convert
    def draw(step):
        return tf.numpy_function(
            lambda k: [a for a in tf.nest.flatten(task.batch(int(k))) if a is not None], [step], dtypes
        )

    steps = tf.data.Dataset.range(first, last)
    for values in steps.map(draw, num_parallel_calls=2, deterministic=True).prefetch(1):
        waiting = iter(values)
        yield tf.nest.map_structure(lambda a, w=waiting: None if a is None else next(w), sample)


def _as_tensor(array):
    return None if array is None else ops.convert_to_tensor(array)


def infinite_order(count, seed, start, length):
    """Return `length` indices below `count` from position `start` of endless passes, each shuffled anew.

    Args:
        count: examples in a pass.
        seed: of the shuffling.
        start: position of the first index.
        length: how many.
    """
    picked, orders = [], {}
    for position in range(start, start + length):
        number, place = divmod(position, count)
        if number not in orders:
            orders[number] = np.random.default_rng((seed, number)).permutation(count)
        picked.append(int(orders[number][place]))
    return picked
