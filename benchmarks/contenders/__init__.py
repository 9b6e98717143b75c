"""What a user would run instead, one file each: contenders judge the same face clips as the engine.

Each module has `NAME`, `SUMMARY`, `SAME_OUTPUT` (whether it must give the engine's outputs, within
tolerance, or is another method whose outputs are its own), `PRECISION` where that is not fp32, and
`open_contender(arena)`. That returns a function from clips, uint8 `[T+1, S, S, 3]` each, to a list of
outputs, float32 `[T + 1]`: the logits of the pairs, then of the clip. Either raises `MissingError` where
something that it needs is not installed, or where it cannot judge as this bundle does.
"""

import importlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

__all__ = [
    "CONTENDERS",
    "OURS",
    "WITHOUT_KERAS",
    "Arena",
    "MissingError",
    "engine_judge",
    "load_contender",
    "mean_output",
    "model_output",
    "require_mean",
]

CONTENDERS = (
    "flowtell_cpu",
    "flowtell_openvino",
    "flowtell_openvino_bf16",
    "keras_pairs",
    "keras_clips",
    "tensorflow_xla",
    "pytorch_eager",
    "pytorch_compiled",
    "onnxruntime_plain",
    "openvino_plain",
    "dis_flow",
    "mesonet",
)
"""Modules of this package; the first is the engine, which the others are compared with."""

OURS = ("flowtell_cpu", "flowtell_openvino", "flowtell_openvino_bf16")
"""Those that are the engine."""

WITHOUT_KERAS = (*OURS, "pytorch_eager", "pytorch_compiled")
"""Those for which no Keras is started in this process."""


class MissingError(Exception):
    """A contender cannot run here; the message says what it needs."""


@dataclass(frozen=True)
class Arena:
    """What contenders start from.

    Attributes:
        bundle: folder of the bundle whose weights all of them use.
        threads: how many cores each may use.
        mesonet: HDF5 file with MesoNet's weights, or None.
    """

    bundle: Path
    threads: int
    mesonet: Path | None = None

    @cached_property
    def models(self):
        """The bundle's Keras models, as `flowtell.export.TrainedModels`; built once."""
        from flowtell.export import keras_from_bundle

        return keras_from_bundle(self.bundle)

    @cached_property
    def plain_graphs(self):
        """The flow network and the classifier as tf2onnx leaves them, as bytes; converted once."""
        from flowtell.benchmarks.plain_graphs import plain_graphs

        return plain_graphs(self.models)


def load_contender(name):
    """Return the module of a contender, one of `CONTENDERS`."""
    return importlib.import_module(f"flowtell.benchmarks.contenders.{name}")


def engine_judge(arena, provider, precision="fp32"):
    """Return the judging function of the engine on a provider.

    Raises:
        MissingError: what the provider needs is not installed, or the bundle has no such detector.
    """
    import numpy as np

    import flowtell

    try:
        detector = flowtell.Detector.open(
            arena.bundle, provider=provider, precision=precision, threads=arena.threads
        )
    except (flowtell.ProviderError, flowtell.BundleError) as error:
        raise MissingError(str(error)) from error

    def judge(clips):
        scores = detector.score_clips(np.stack(clips))
        return [
            np.append(pairs, clip) for pairs, clip in zip(scores.pair_logits, scores.clip_logits, strict=True)
        ]

    return judge


def mean_output(pair_logits):
    """Return the output of a clip whose logit is the mean of its pairs', float32 `[T + 1]`."""
    import numpy as np

    logits = np.asarray(pair_logits, np.float32).reshape(-1)
    return np.append(logits, logits.mean(dtype=np.float32))


def model_output(judged):
    """Return the output, float32 `[T + 1]`, of the one clip that a Keras detector was given as a batch."""
    import numpy as np

    return np.append(np.asarray(judged["pair_logits"])[0], np.asarray(judged["clip_logit"])[0])


def require_mean(models):
    """Refuse models whose clip logit is not the mean of their pairs', for contenders that judge pairs alone.

    Args:
        models: `flowtell.export.TrainedModels`.

    Raises:
        MissingError: they have an LSTM over the pairs of a clip.
    """
    if models.clip_head is not None:
        raise MissingError("it judges pair by pair, and this bundle has an LSTM over the pairs of a clip")
