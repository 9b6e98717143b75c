"""Builds TensorRT plans from a bundle's graphs; needs TensorRT and the engine, and no TensorFlow."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from flowtell import FlowtellError, ProviderError
from flowtell._plan_key import PlanKey
from flowtell._tensorrt import Backend

__all__ = ["BuiltPlan", "PlanRefusedError", "build_plan", "require_capability"]


class PlanRefusedError(FlowtellError):
    """TensorRT cannot build a plan of a graph; the message holds its own words."""


@dataclass(frozen=True)
class BuiltPlan:
    """A plan, fresh from TensorRT.

    Attributes:
        data: the plan, a buffer of bytes.
        build_s: how long parsing and building took, in seconds.
        layers: type of layer to how many TensorRT made of the graph's nodes; ``PLUGIN`` is one of them where
            there are any.
    """

    data: memoryview
    build_s: float
    layers: Mapping[str, int]


def require_capability(backend: Backend, number: str) -> None:
    """Refuse a compute capability, such as ``8.6``, that a TensorRT which builds without GPU lacks.

    Raises:
        flowtell.ProviderError: it does not, or TensorRT cannot be loaded.
    """
    names = [name for name in dir(backend.load().ComputeCapability) if name.startswith("SM")]
    known = sorted((f"{name[2:-1]}.{name[-1]}" for name in names), key=float)
    if number not in known:
        raise ProviderError(
            f"{backend.title} {backend.version()} builds for the compute capabilities {', '.join(known)}, "
            f"not for {number}"
        )


def build_plan(
    backend: Backend,
    data: bytes,
    key: PlanKey,
    file: str,
    progress: Callable[[str], None] = lambda phase: None,
) -> BuiltPlan:
    """Build the plan of a graph.

    The network is strongly typed: TensorRT computes in the types that the graph states.

    Args:
        backend: what builds; TensorRT (not RTX) needs the GPU that the plan is for.
        data: the graph.
        key: what the plan is for.
        file: the graph's file name, for messages.
        progress: told the phase of the build, as TensorRT calls it.

    Raises:
        PlanRefusedError: it cannot be built.
        flowtell.ProviderError: TensorRT cannot be loaded, or does not know the compute capability.
        KeyboardInterrupt: the user interrupted the build; TensorRT says when it heeds that, at its end at the
            latest.
    """
    trt = backend.load()
    begun_s = time.monotonic()
    complaints = _complaints(trt)
    builder = trt.Builder(complaints)
    network = builder.create_network(_network_flags(trt))
    parser = trt.OnnxParser(network, complaints)

    def refusal() -> PlanRefusedError:
        parsing = [str(parser.get_error(index).desc()) for index in range(parser.num_errors)]
        words = next(iter([*complaints.errors, *parsing]), "it gives no reason")
        return PlanRefusedError(
            f"{backend.title} {backend.version()} builds no plan of '{file}' for compute capability "
            f"{key.compute_capability}: {words}"
        )

    if not parser.parse(data):
        raise refusal()
    config = builder.create_builder_config()
    if not backend.is_for_one_gpu:
        config.num_compute_capabilities = 1
        require_capability(backend, key.compute_capability)
        named = getattr(trt.ComputeCapability, f"SM{key.compute_capability.replace('.', '')}")
        config.set_compute_capability(named, 0)
    profile = builder.create_optimization_profile()
    for name, shapes in key.profile.items():
        profile.set_shape(name, *shapes)
    config.add_optimization_profile(profile)
    with _interrupts_noted() as interrupted:
        config.progress_monitor = _monitor(trt, progress, interrupted)
        plan = builder.build_serialized_network(network, config)
    if interrupted.is_set():
        raise KeyboardInterrupt
    if plan is None:
        raise refusal()
    layers: dict[str, int] = {}
    for index in range(network.num_layers):
        kind = network.get_layer(index).type.name
        layers[kind] = layers.get(kind, 0) + 1
    return BuiltPlan(memoryview(plan), time.monotonic() - begun_s, layers)


def _network_flags(trt: Any) -> int:
    """Return the flags of a network whose types are the graph's; from TensorRT 11 on there is no other."""
    strongly_typed = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if strongly_typed is None else 1 << int(strongly_typed)


def _complaints(trt: Any) -> Any:
    """Return a logger that keeps what TensorRT calls an error, and prints nothing."""

    class Complaints(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity <= trt.ILogger.Severity.ERROR:
                self.errors.append(message)

    return Complaints()


@contextmanager
def _interrupts_noted() -> Iterator[threading.Event]:
    """Note an interrupt instead of raising it: TensorRT calls back from C++, which stops no exception."""
    noted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield noted  # signals are the main thread's
        return
    before = signal.signal(signal.SIGINT, lambda *_: noted.set())
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)


def _monitor(trt: Any, progress: Callable[[str], None], interrupted: threading.Event) -> Any:
    """Return a monitor that tells the phases on, and ends the build where the user interrupts it."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            progress(phase_name)

        def phase_finish(self, phase_name: str) -> None:
            pass

        def step_complete(self, phase_name: str, step: int) -> bool:
            progress(phase_name)
            return not interrupted.is_set()

    return Monitor()
