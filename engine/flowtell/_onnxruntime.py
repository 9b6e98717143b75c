"""Runs a graph in ONNX Runtime, on whichever of its execution providers is asked for."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from numpy.typing import NDArray

from ._cpu_features import has_vnni
from ._errors import ProviderError
from ._runner import RunningCall
from ._shared_arena import shared_arena

__all__ = ["CPU_PROVIDER", "OnnxRuntimeRunner", "forbid_saturation", "load_onnxruntime", "why_not_built_with"]

CPU_PROVIDER = "CPUExecutionProvider"
"""As ONNX Runtime names its own."""

_INSTALL = "install one with: pip install 'flowtell[cpu]'"
_ORT_WARNING = 2


def load_onnxruntime() -> ModuleType:
    """Import ONNX Runtime when it is first needed, so that `import flowtell` stays light and always works.

    Its wheels from 1.32 on report their use to Microsoft; that is switched off, unless the variable
    ORT_DISABLE_TELEMETRY is set to something else or another module has imported it before.

    Raises:
        ProviderError: where none is installed, or the installed one cannot be loaded.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        return importlib.import_module("onnxruntime")
    except ModuleNotFoundError as error:
        if error.name != "onnxruntime":
            raise ProviderError(f"onnxruntime is installed but lacks the module '{error.name}'") from error
        raise ProviderError(f"no onnxruntime is installed: {_INSTALL}") from error
    except ImportError as error:
        raise ProviderError(f"onnxruntime cannot be loaded ({error}): reinstall it") from error


def why_not_built_with(provider: str, words: str) -> str | None:
    """Return why ONNX Runtime cannot use its execution provider, or None where it is built with it.

    Args:
        provider: as ONNX Runtime names it.
        words: the sentence where it is built without; `{version}` stands for ONNX Runtime's version.
    """
    try:
        ort = load_onnxruntime()
    except ProviderError as error:
        return str(error)
    return None if provider in ort.get_available_providers() else words.format(version=ort.__version__)


def forbid_saturation(settings: Any) -> None:
    """Have sessions of these `onnxruntime.SessionOptions` sum products of one-byte numbers exactly.

    On x86 CPUs without VNNI the integer kernels saturate on their way: with AVX2 an int8 VGG16's logits moved
    by 0.17 on average, by 0.015 with this, which changes no other graph. With VNNI it changes no number and
    takes 2.5 times as long.
    """
    if not has_vnni():
        settings.add_session_config_entry("session.x64quantprecision", "1")


class OnnxRuntimeRunner:
    """A `GraphRunner` with one intra-op thread.

    With one thread inside, a score does not depend on how many clips or threads it shared a call with;
    callers run one session from many threads instead, which ONNX Runtime allows and which is as fast.
    """

    def __init__(self, data: bytes, file: str, provider: str, **options: str) -> None:
        """Load the graph in `data` on the execution provider named `provider`, with that one's `options`.

        Raises:
            ProviderError: where ONNX Runtime is missing, refuses the graph, or takes another provider.
        """
        ort = load_onnxruntime()
        self._ort = ort
        settings = ort.SessionOptions()
        settings.intra_op_num_threads = 1
        settings.inter_op_num_threads = 1
        settings.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        settings.log_severity_level = _ORT_WARNING
        # left to itself it takes bytes that begin as its own format for that, which no loader looked into
        settings.add_session_config_entry("session.load_model_format", "ONNX")
        forbid_saturation(settings)
        if provider == CPU_PROVIDER:
            shared_arena.share(ort, settings)
        try:
            # left to itself, a session whose provider fails goes on on the CPU, now or in the middle of a run
            self._session = ort.InferenceSession(
                data, settings, providers=[(provider, options)], enable_fallback=0
            )
        except Exception as error:
            # ONNX Runtime's exceptions share no base class but Exception
            raise ProviderError(f"onnxruntime {ort.__version__} cannot load '{file}': {error}") from error
        taken = self._session.get_providers()
        # the CPU provider stands behind every other
        if taken[0] != provider:
            raise ProviderError(f"onnxruntime runs '{file}' on {', '.join(taken)}, not on {provider}")
        self.inputs = {value.name: (value.type, len(value.shape)) for value in self._session.get_inputs()}
        self.outputs = {value.name: (value.type, len(value.shape)) for value in self._session.get_outputs()}

    def run(
        self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]], call: RunningCall | None
    ) -> list[NDArray[Any]]:
        """Return the named outputs; see `GraphRunner.run`."""
        options = None
        if call is not None:
            options = self._ort.RunOptions()
            call.arm(lambda: setattr(options, "terminate", True))
        results: list[NDArray[Any]] = self._session.run(list(outputs), dict(inputs), options)
        return results
