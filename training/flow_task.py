"""The flow network as a task of the trainer: synthetic motion, maybe a teacher, and the paper's loss."""

import zipfile
import zlib

import cv2
import keras
import numpy as np

from flowtell import InputError
from flowtell.training.flow_batches import FlowBatches, TeacherPairs
from flowtell.training.flow_features import flow_step
from flowtell.training.flow_loss import epe, multiscale_loss
from flowtell.training.flow_quality import teacher_distance
from flowtell.training.flow_source import FLOW_DESCRIPTION_NAME, load_flow_network
from flowtell.training.models import FLOW_DIVISOR, FLOW_PRESETS, build_flow_network
from flowtell.training.run_folder import file_sha256, write_json
from flowtell.training.settings import settings_dict
from flowtell.training.textures import load_textures
from flowtell.training.trainer import fit
from flowtell.training.video import readable_video_sha256

__all__ = ["FlowTask", "train_flow"]

# Pairs are validated on in small batches: the network's features of one pair of 128 px take 6 MB.
_VALIDATION_BATCH = 4


class _FlowFit(keras.Model):
    """The network with its loss."""

    def __init__(self, network, robust):
        super().__init__(name="flow_fit")
        self.network, self.robust = network, robust

    def call(self, images):
        return self.network(*images)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return multiscale_loss(y, y_pred, FLOW_DIVISOR, self.robust)


class FlowTask:
    """A `Task` that fits a `PWCNet`.

    Args:
        settings: a `FlowSettings`.
        textures: pictures that synthetic pairs are painted with.
        teacher: a `TeacherPairs`, or None.
        network: a `PWCNet` to start from; None for a fresh one.
        judged: a `TeacherPairs` that is never trained on, to validate by, too; or None.

    Attributes:
        held_out: list of batches of synthetic pairs, see `FlowBatches.batch`, that are validated on.
    """

    monitor, higher_is_better = "val_epe", False

    def __init__(self, settings, textures, teacher=None, network=None, judged=None):
        # One thread an example: the generator shares the cores with the network.
        cv2.setNumThreads(1)
        fit_settings = settings.fit
        keras.utils.set_random_seed(fit_settings.seed)
        policy = "mixed_bfloat16" if fit_settings.mixed_precision else "float32"
        fresh = build_flow_network(settings.network, dtype=policy)
        if network is not None:
            fresh.set_weights(network.get_weights())
        self.networks = {"flow": fresh}
        self.model = _FlowFit(fresh, settings.robust)
        image = keras.KerasTensor((1, settings.motion.size_px, settings.motion.size_px, 3))
        self.model((image, image))
        self._batches = FlowBatches(
            textures,
            settings.motion,
            fit_settings.batch_size,
            fit_settings.seed,
            teacher,
            settings.teacher_share,
            settings.teacher_zoom,
            settings.teacher_shift_px,
        )
        # The entropy of a batch is (seed, step), and zeros at its end say nothing: (seed, 1, 0) is that of
        # step 1. A third number that is never zero keeps these pairs apart from every batch.
        held_out = FlowBatches(textures, settings.motion, _VALIDATION_BATCH, (fit_settings.seed, 1))
        count = -(-settings.validation_pairs // _VALIDATION_BATCH)
        self.held_out = [held_out.batch(step) for step in range(1, count + 1)]
        self._judged = judged
        # compiled once: validations put their averages into the same variables
        self._flow_step = flow_step(fresh)

    def batch(self, step):
        """Return the batch of a step, without sample weights."""
        return *self._batches.batch(step), None

    def validate(self):
        """Return the mean end-point error in px on pairs that are never trained on.

        `val_epe` is of synthetic ones, `val_teacher_epe` of the teacher's, where there are some.
        """
        errors = [
            epe(keras.ops.convert_to_numpy(self.model.network(*images)[-1]) * FLOW_DIVISOR, target)
            for images, target in self.held_out
        ]
        figures = {"val_epe": float(np.mean(errors))}
        if self._judged is not None:
            distance = teacher_distance(self._flow_step, self._judged, _VALIDATION_BATCH)
            figures["val_teacher_epe"] = distance["epe"]
        return figures


def train_flow(settings, folder, videos=(), teacher=None, init=None, progress=None, judged=None):
    """Train a flow network; resumes where an earlier call into the same folder was stopped.

    Args:
        settings: a `FlowSettings`.
        folder: of the run; `flow.weights.h5` and `flow.json` in it are what `load_flow_network` reads.
        videos: videos whose key frames are painted with, besides the packaged pictures.
        teacher: path of a `TeacherPairs` file.
        init: folder of a flow network to start from, of the same preset.
        progress: see `fit`.
        judged: path of a `TeacherPairs` file of other people, to validate by.

    Returns:
        a `FitResult`.

    Raises:
        InputError: the settings do not fit each other, an input is missing, or as `fit`.
    """
    if settings.network not in FLOW_PRESETS:
        raise InputError(
            f"there is no flow network '{settings.network}'; there are {', '.join(FLOW_PRESETS)}"
        )
    if settings.teacher_share and teacher is None:
        raise InputError(f"a teacher_share of {settings.teacher_share} needs a file of the teacher's pairs")
    if teacher is not None and not settings.teacher_share:
        raise InputError(
            f"with a teacher_share of 0 nothing is learned from '{teacher}': set teacher_share, or leave the "
            "teacher's pairs out"
        )
    network = None if init is None else load_flow_network(init)
    if network is not None and network.config != FLOW_PRESETS[settings.network]:
        raise InputError(f"the network in '{init}' is no '{settings.network}': set network accordingly")
    pairs, judged_pairs = (path and _teacher_pairs(path) for path in (teacher, judged))
    if judged_pairs is not None:
        _require_whole_levels(judged, *judged_pairs.frames.shape[2:4], FLOW_PRESETS[settings.network])
    claimed = {
        "model": "flow",
        "settings": settings_dict(settings),
        "videos": len(videos),
        "teacher": None if teacher is None else file_sha256(teacher),
        "init": None if init is None else file_sha256(init / "flow.weights.h5"),
    }
    if videos:
        claimed["videos_sha256"] = [readable_video_sha256(path) for path in videos]
    if judged is not None:
        claimed["judged"] = file_sha256(judged)
    task = FlowTask(settings, load_textures(videos), pairs, network, judged_pairs)
    result = fit(task, settings.fit, folder, claimed, progress)
    write_json(folder / FLOW_DESCRIPTION_NAME, {"flow": FLOW_PRESETS[settings.network].to_dict()})
    return result


def _require_whole_levels(path, height, width, config):
    """Refuse pairs that are judged whole and do not halve into every level of the network's pyramid."""
    step_px = 2 ** len(config.pyramid_filters)
    if height % step_px or width % step_px:
        raise InputError(
            f"the pairs in '{path}' are of {width}x{height} px, and a network is judged by whole ones: their "
            f"sides must be multiples of {step_px} px"
        )


def _teacher_pairs(path):
    try:
        return TeacherPairs.load(path)
    except (EOFError, KeyError, OSError, TypeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"'{path}' holds no teacher's pairs: {error}") from error
