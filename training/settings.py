"""What can be set about a training run: typed, readable from TOML, with the original's recipe as a preset."""

import dataclasses
import json
import math
import tomllib
import typing
from dataclasses import dataclass, field
from pathlib import Path

from flowtell import InputError
from flowtell.training.models import FLOW_ENCODINGS, ClipHeadConfig
from flowtell.training.synthetic_flow import MotionConfig

__all__ = [
    "PRESETS",
    "ClassifierSettings",
    "ClipLSTMSettings",
    "FitSettings",
    "FlowSettings",
    "read_settings",
    "settings_dict",
    "settings_from",
]

KEEP = ("validation", "training_loss", "last")
SCHEDULES = ("constant", "cosine")
TRAINED_PARTS = ("head", "block5")
BLOCKS = (4, 5)
PREPROCESSINGS = ("imagenet", "raw_rgb")
# VGG16's first block has so many filters.
MAX_WIDTH = 64
# The flow network halves its pictures six times.
FLOW_SIDE_PX = 64


@dataclass(frozen=True)
class FitSettings:
    """What every run has: how long, how fast, what is kept.

    Attributes:
        steps: optimiser steps that the schedule of the learning rate is laid out for.
        stop_step: where to end before the schedule does; None to follow it through.
        epoch_steps: steps between validations; after each the best weights are kept.
        checkpoint_steps: steps between checkpoints to resume from; None: one an epoch.
        batch_size: examples a step: pairs for flow, flow images for the classifier, clips for the cnn_lstm.
        learning_rate: of Adam; the peak, where it is scheduled.
        schedule: `constant`, or `cosine`: it rises over 3 % of the steps and falls to 2 % of the peak.
        clip_norm: largest norm of each gradient; None for no limit.
        ema_momentum: of a moving average of the weights, which is then judged and kept; None: none.
        mixed_precision: whether convolutions and dense layers compute in bfloat16 (weights stay float32):
            for GPUs and for CPUs with AMX or AVX-512 BF16. On others it is some ten times as slow.
        keep: which weights are kept: of the best `validation`, of the least `training_loss`, or the `last`.
        patience: epochs without a better one after which the run stops early; None: never.
        seed: of weights, order of the data, augmentation and dropout.
    """

    steps: int = 1000
    stop_step: int | None = None
    epoch_steps: int = 100
    checkpoint_steps: int | None = None
    batch_size: int = 64
    learning_rate: float = 1e-4
    schedule: str = "constant"
    clip_norm: float | None = None
    ema_momentum: float | None = None
    mixed_precision: bool = False
    keep: str = "validation"
    patience: int | None = None
    seed: int = 0

    def __post_init__(self):
        _require_least(
            self, 1, "steps", "epoch_steps", "batch_size", "stop_step", "checkpoint_steps", "patience"
        )
        if not 0 <= self.seed < 2**32:
            raise InputError(f"seed must be from 0 to {2**32 - 1}, not {self.seed}")
        _require_choice("keep", self.keep, KEEP)
        _require_choice("schedule", self.schedule, SCHEDULES)
        for name in ("learning_rate", "clip_norm"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise InputError(f"{name} must be above 0 and finite, not {value}")
        _require_below_one(self, "ema_momentum")
        if self.patience is not None and self.keep == "last":
            raise InputError(
                "with keep = 'last' no epoch is better than another: leave patience out, or set keep to "
                "'validation' or 'training_loss'"
            )

    @property
    def last_step(self):
        """The step that the run ends with."""
        return min(self.steps, self.stop_step or self.steps)


@dataclass(frozen=True)
class FlowSettings:
    """A run of the flow network.

    Attributes:
        fit: what every run has.
        network: one of `FLOW_PRESETS`: full, full_normalised, small, tiny.
        robust: whether to use the robust loss (fine-tuning).
        teacher_share: share of the examples taken from a teacher's pairs.
        teacher_zoom, teacher_shift_px: how the motion in these is varied, see `TeacherPairs.draw`.
        validation_pairs: synthetic pairs, never trained on, that the end-point error is measured on.
        motion: size and motion of the synthetic pairs.
    """

    fit: FitSettings = field(
        default_factory=lambda: FitSettings(
            steps=6000,
            epoch_steps=250,
            batch_size=8,
            learning_rate=4e-4,
            schedule="cosine",
            clip_norm=1.0,
            ema_momentum=0.998,
            keep="last",
        )
    )
    network: str = "small"
    robust: bool = False
    teacher_share: float = 0.0
    teacher_zoom: float = 1.0
    teacher_shift_px: int = 0
    validation_pairs: int = 16
    motion: MotionConfig = field(default_factory=MotionConfig)

    def __post_init__(self):
        for owner, name in ((self, "teacher_share"), (self.motion, "still_share")):
            if not 0 <= getattr(owner, name) <= 1:
                raise InputError(f"{name} must be from 0 to 1, not {getattr(owner, name)}")
        _require_least(self, 1, "validation_pairs")
        _require_least(self.motion, 0, "translation_px", "max_layers")
        side_px = self.motion.size_px
        if side_px < FLOW_SIDE_PX or side_px % FLOW_SIDE_PX:
            raise InputError(f"size_px must be a multiple of {FLOW_SIDE_PX} (six halvings), not {side_px}")
        if not (self.teacher_zoom >= 1 and self.teacher_shift_px >= 0):
            raise InputError(
                "teacher_zoom must be at least 1 and teacher_shift_px at least 0, not "
                f"{self.teacher_zoom} and {self.teacher_shift_px}"
            )


@dataclass(frozen=True)
class ClassifierSettings:
    """A run of the classifier of flow images.

    Attributes:
        fit: what every run has.
        encoding: of the flow image: colour_wheel, uv or uv_residual.
        preprocessing: imagenet or raw_rgb.
        input_size: side in px that flow images are resized to.
        head_units: widths of the dense layers.
        width: divisor of VGG16's filters; ImageNet's weights fit 1 only.
        blocks: how many of VGG16's five blocks stand before the head, 4 or 5.
        dropout: rate before each dense layer.
        trained: `head` (the dense layers), or `block5` (VGG16's last block and the head: all but the first 15
            layers). What lies before is frozen and its features are cached.
        pair_stride: every so manieth pair of a clip is trained on: neighbours are nearly alike.
        mirror: whether to train on mirrored flow, too (which mirrors u).
        balance: whether both classes count alike, however many examples each has.
        label_smoothing: moves the targets from 0 and 1 by half of this.
        validation_steps: batches that are validated on at most; None for all.
    """

    fit: FitSettings = field(default_factory=FitSettings)
    encoding: str = "colour_wheel"
    preprocessing: str = "imagenet"
    input_size: int = 120
    head_units: tuple[int, ...] = (512, 512)
    width: int = 1
    blocks: int = 5
    dropout: float = 0.5
    trained: str = "head"
    pair_stride: int = 3
    mirror: bool = True
    balance: bool = True
    label_smoothing: float = 0.1
    validation_steps: int | None = None

    def __post_init__(self):
        _require_choice("trained", self.trained, TRAINED_PARTS)
        _require_choice("blocks", self.blocks, BLOCKS)
        _require_choice("encoding", self.encoding, FLOW_ENCODINGS)
        _require_choice("preprocessing", self.preprocessing, PREPROCESSINGS)
        _require_least(self, 1, "pair_stride", "validation_steps")
        _require_below_one(self, "dropout", "label_smoothing")
        if not 1 <= self.width <= MAX_WIDTH:
            raise InputError(f"width must be from 1 to {MAX_WIDTH}, not {self.width}")
        if self.input_size < 2**self.blocks:
            raise InputError(
                f"input_size must be at least {2**self.blocks}, which {self.blocks} blocks halve to 1, not "
                f"{self.input_size}"
            )
        if any(units < 1 for units in self.head_units):
            raise InputError(f"head_units must each be at least 1, not {list(self.head_units)}")
        if self.trained == "block5" and self.blocks < 5:
            raise InputError("trained = 'block5' needs blocks = 5: there is no fifth block to train")


@dataclass(frozen=True)
class ClipLSTMSettings(ClassifierSettings):
    """A run of the classifier with an LSTM over the pairs of a clip: all pairs are used, a clip an example.

    Attributes:
        fit: what every run has; its batches are clips.
        pair_stride: 1: the LSTM sees what it will see in use.
        lstm: the temporal head.
        pair_loss_weight: weight of the pairs' own loss beside the clip's.
    """

    fit: FitSettings = field(default_factory=lambda: FitSettings(batch_size=8))
    pair_stride: int = 1
    lstm: ClipHeadConfig = field(default_factory=ClipHeadConfig)
    pair_loss_weight: float = 0.5

    def __post_init__(self):
        super().__post_init__()
        _require_least(self.lstm, 1, "units")
        _require_below_one(self.lstm, "dropout")
        _require_least(self, 0, "pair_loss_weight")


def read_settings(path, preset):
    """Read the settings of a run from a TOML file, over those of a preset.

    Args:
        path: of the file; its keys are the attributes, tables are the dataclasses inside (`[fit]`).
        preset: the settings that hold where the file says nothing.

    Raises:
        InputError: the file cannot be read, is no TOML, has a key that is not known or a value of the wrong
            type or out of range.
    """
    path = Path(path)
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"the settings '{path}' cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"'{path}' is no TOML: {error}") from error
    return settings_from(values, preset, path.name)


def settings_dict(settings):
    """Return settings as JSON can hold them: lists for tuples, dicts for what lies inside."""
    return json.loads(json.dumps(dataclasses.asdict(settings)))


def settings_from(values, preset, where):
    """Return the settings of a preset with some of them replaced by those of a (nested) dict.

    Raises:
        InputError: a key is not known or a value is of the wrong type or out of range.
    """
    types = typing.get_type_hints(type(preset))
    changes = {}
    for key, value in values.items():
        if key not in types:
            raise InputError(f"{where}: there is no setting '{key}'; there are {', '.join(sorted(types))}")
        current = getattr(preset, key)
        if dataclasses.is_dataclass(current):
            if not isinstance(value, dict):
                raise InputError(f"{where}: '{key}' is a table: write [{key}]")
            changes[key] = settings_from(value, current, f"{where}, [{key}]")
        else:
            changes[key] = _converted(value, types[key], f"{where}: '{key}'")
    return dataclasses.replace(preset, **changes)


def _converted(value, wanted, where):
    options = typing.get_args(wanted) or (wanted,)
    if typing.get_origin(wanted) is tuple:
        if isinstance(value, list) and all(isinstance(v, int) and not isinstance(v, bool) for v in value):
            return tuple(value)
        raise InputError(f"{where} must be a list of whole numbers, not {value!r}")
    if float in options and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) not in options:
        names = " or ".join(option.__name__ for option in options if option is not type(None))
        raise InputError(f"{where} must be of type {names}, not {value!r}")
    return value


def _require_least(settings, least, *names):
    for name in names:
        value = getattr(settings, name)
        # None says that there is none; of nan nothing holds.
        if value is not None and not value >= least:
            raise InputError(f"{name} must be at least {least}, not {value}")


def _require_below_one(settings, *names):
    for name in names:
        value = getattr(settings, name)
        if value is not None and not 0 <= value < 1:
            raise InputError(f"{name} must be at least 0 and below 1, not {value}")


def _require_choice(name, value, choices):
    if value not in choices:
        raise InputError(f"{name} must be one of {', '.join(map(str, choices))}, not {value!r}")


# The original's notebook: raw RGB colour wheel at 120x120, batches of 256, 3 epochs of 960 steps, 140
# validation steps, Adam 1e-4, the checkpoint of the least training loss; its crops come from the Haar cascade
# (flowtell prepare --faces haar).
_ORIGINAL = ClassifierSettings(
    fit=FitSettings(
        steps=3 * 960, epoch_steps=960, checkpoint_steps=96, batch_size=256, keep="training_loss"
    ),
    preprocessing="raw_rgb",
    head_units=(4096, 4096),
    trained="block5",
    pair_stride=1,
    mirror=False,
    balance=False,
    label_smoothing=0.0,
    validation_steps=140,
)
# The default bundle's form, which the study found best (docs/model-study.md).
_BUNDLE = ClassifierSettings(encoding="uv_residual", input_size=64, head_units=(), blocks=4, pair_stride=2)
PRESETS = {
    "flow": {"default": FlowSettings()},
    "classifier": {"default": ClassifierSettings(), "bundle": _BUNDLE, "original": _ORIGINAL},
    "cnn_lstm": {"default": ClipLSTMSettings()},
}
