"""Which inference runtimes flowtell can use here, and why not the others.

A provider asked for by name is used or it is an error; `auto` takes the fastest that passes a probe, and
results say which. The detector runs on the provider; faces are found and cut out on the CPU everywhere, so
that every provider judges the same crops.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import (
    _provider_cpu,
    _provider_cuda,
    _provider_openvino,
    _provider_tensorrt,
    _provider_tensorrt_plan,
)
from ._errors import InputError, ProviderError
from ._manifest import PRECISIONS
from ._plan_key import CLIPS_PER_CALL
from ._runner import GraphRunner, GraphSource

__all__ = [
    "CPU",
    "PROVIDER_NAMES",
    "Provider",
    "computes_in",
    "provider_called",
    "usable_providers",
    "why_not",
]

PROVIDER_NAMES = ("auto", "cpu", "openvino", "cuda", "tensorrt")
"""What `provider=` accepts."""


@dataclass(frozen=True)
class Provider:
    """A way to run graphs.

    Attributes:
        name: flowtell's short one.
        reported_name: the name that its runtime and results use.
        clips_per_call: how many face clips share a call to the detector at most.
        precisions: of the graphs that it runs as they are written.
        why_not: returns why it cannot be used here, in one sentence, or None.
        version: returns what computes, with its version.
        open_graph: loads a graph, for so many threads that call it at a time; raises ProviderError.
        most_clips_per_call: how many face clips it takes in a call; None where memory alone limits it.
    """

    name: str
    reported_name: str
    clips_per_call: int
    precisions: tuple[str, ...]
    why_not: Callable[[], str | None]
    version: Callable[[], str]
    open_graph: Callable[[GraphSource, int], GraphRunner]
    most_clips_per_call: int | None = None

    def clips_in_a_call(self, wanted: int | None) -> int:
        """Return how many face clips share a call at most: `wanted`, or where that is None what suits it.

        Raises:
            InputError: where it does not take so many.
        """
        most = self.most_clips_per_call
        if wanted is not None and most is not None and wanted > most:
            raise InputError(
                f"clips_per_call must be at most {most}, for which plans of the provider '{self.name}' are "
                f"built, not {wanted}"
            )
        return wanted or self.clips_per_call


_WITHOUT_BF16 = tuple(precision for precision in PRECISIONS if precision != "bf16")

CPU = Provider(
    "cpu",
    _provider_cpu.NAME,
    1,
    _WITHOUT_BF16,
    _provider_cpu.why_not,
    _provider_cpu.version,
    _provider_cpu.open_graph,
)

_PROVIDERS = (
    CPU,
    Provider(
        "openvino",
        _provider_openvino.NAME,
        1,
        PRECISIONS,
        _provider_openvino.why_not,
        _provider_openvino.version,
        _provider_openvino.open_graph,
    ),
    Provider(
        "cuda",
        _provider_cuda.NAME,
        CLIPS_PER_CALL,
        _WITHOUT_BF16,
        _provider_cuda.why_not,
        _provider_cuda.version,
        _provider_cuda.open_graph,
    ),
    # two ways to TensorRT: a plan that was built before, else ONNX Runtime, which builds its own
    Provider(
        "tensorrt",
        _provider_tensorrt_plan.NAME,
        CLIPS_PER_CALL,
        _WITHOUT_BF16,
        _provider_tensorrt_plan.why_not,
        _provider_tensorrt_plan.version,
        _provider_tensorrt_plan.open_graph,
        most_clips_per_call=CLIPS_PER_CALL,
    ),
    Provider(
        "tensorrt",
        _provider_tensorrt.NAME,
        CLIPS_PER_CALL,
        _WITHOUT_BF16,
        _provider_tensorrt.why_not,
        _provider_tensorrt.version,
        _provider_tensorrt.open_graph,
    ),
)


def why_not(name: str) -> str | None:
    """Return why the provider called `name` cannot be used here, in one sentence, or None where it can.

    Raises:
        ProviderError: where there is no provider of that name.
    """
    if name not in PROVIDER_NAMES:
        raise ProviderError(f"there is no provider '{name}': choose one of {', '.join(PROVIDER_NAMES)}")
    # `auto` falls back to the CPU, and every provider needs it for finding faces
    reason = CPU.why_not()
    if reason is not None or name == "auto":
        return reason
    reasons = [provider.why_not() for provider in _PROVIDERS if provider.name == name]
    return None if None in reasons else reasons[0]


def provider_called(name: str) -> Provider:
    """Return the provider called `name`, which is not `auto`.

    Raises:
        ProviderError: where there is none, or it cannot be used here; the message says why.
    """
    reason = why_not(name)
    if reason is not None:
        raise ProviderError(reason)
    return next(p for p in _PROVIDERS if p.name == name and p.why_not() is None)


def computes_in(name: str, precision: str) -> bool:
    """Tell whether the provider called `name` runs graphs in `precision` on any machine."""
    return any(provider.name == name and precision in provider.precisions for provider in _PROVIDERS)


def usable_providers(precision: str = "fp32") -> list[Provider]:
    """Return those that run graphs in `precision` here, one of each name, the CPU first.

    Raises:
        ProviderError: where there is none; the message says why.
    """
    # faces are found on the CPU whatever the provider
    provider_called("cpu")
    found: dict[str, Provider] = {}
    reasons = []
    for provider in _PROVIDERS:
        if precision not in provider.precisions or provider.name in found:
            continue
        reason = provider.why_not()
        if reason is None:
            found[provider.name] = provider
        else:
            reasons.append(reason)
    if not found:
        raise ProviderError(f"nothing here computes in {precision}: {'; '.join(reasons)}")
    return list(found.values())
