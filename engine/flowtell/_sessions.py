"""The graphs of a bundle, open on a provider and held to the bundle format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._bundle import Bundle
from ._errors import BundleError, ProviderError
from ._plan_key import profile_of
from ._providers import Provider
from ._runner import GraphRunner, GraphSource, RunningCall, Values

__all__ = ["GraphSession", "open_session", "require_shape"]


@dataclass(frozen=True)
class _Signature:
    """What a graph of the bundle format takes and gives."""

    inputs: Values
    outputs: Values


_SIGNATURES = {
    "faces": _Signature(
        {"frame": ("tensor(uint8)", 3)}, {"boxes": ("tensor(float)", 2), "scores": ("tensor(float)", 1)}
    ),
    "crop": _Signature(
        {"frame": ("tensor(uint8)", 3), "box": ("tensor(int64)", 1)},
        {"crop": ("tensor(uint8)", 3)},
    ),
    "cuts": _Signature(
        {"frame": ("tensor(uint8)", 3), "box": ("tensor(int64)", 1)}, {"signature": ("tensor(uint8)", 3)}
    ),
    "detector": _Signature(
        {"clips": ("tensor(uint8)", 5)},
        {
            "pair_logits": ("tensor(float)", 2),
            "clip_logit": ("tensor(float)", 1),
            "flow": ("tensor(float)", 5),
        },
    ),
}


class GraphSession:
    """One graph, ready to run from any number of threads at once."""

    def __init__(self, runner: GraphRunner, file: str, version: str) -> None:
        self._runner = runner
        self._file = file
        self._version = version

    def run(
        self, outputs: Sequence[str], call: RunningCall | None = None, **inputs: NDArray[Any]
    ) -> list[NDArray[Any]]:
        """Return the named outputs for the named inputs; `call` lets another thread end it.

        Raises:
            ProviderError: where the runtime fails or was stopped, with its own words.
        """
        try:
            return self._runner.run(outputs, inputs, call)
        except Exception as error:
            # the runtimes' exceptions share no base class but Exception
            raise ProviderError(f"{self._version} failed while it ran '{self._file}': {error}") from error


def open_session(
    bundle: Bundle, graph: str, precision: str, provider: Provider, threads: int
) -> GraphSession:
    """Load one graph of `bundle` and hold it to the bundle format's names, types and ranks.

    Args:
        bundle: an open bundle.
        graph: `faces`, `cuts`, `crop` or `detector`.
        precision: one that the bundle has the graph in.
        provider: what runs it.
        threads: how many threads call it at a time.

    Raises:
        BundleError: where the file is not what the manifest or the format says.
        ProviderError: where the runtime is missing, refuses the graph, or takes another device.
    """
    data = bundle.read_graph(graph, precision)
    if precision not in provider.precisions:
        raise ProviderError(
            f"the provider '{provider.name}' does not compute in {precision}: 'openvino' does, where the CPU "
            "can"
        )
    file = bundle.manifest.graphs[graph][precision].file
    source = GraphSource(data, file, precision, profile_of(graph, bundle.manifest) or {})
    runner = provider.open_graph(source, threads)
    signature = _SIGNATURES[graph]
    _require_signature(file, "input", signature.inputs, runner.inputs)
    _require_signature(file, "output", signature.outputs, runner.outputs)
    return GraphSession(runner, file, provider.version())


def _require_signature(file: str, what: str, wanted: Values, stated: Values) -> None:
    for name, (kind, rank) in wanted.items():
        if stated.get(name) != (kind, rank):
            raise BundleError(f"'{file}' must have the {what} '{name}', {kind} of rank {rank}")
    if what == "input" and len(stated) > len(wanted):
        raise BundleError(f"'{file}' wants inputs that the bundle format does not have")


def require_shape(array: NDArray[Any], shape: tuple[int, ...], file: str) -> NDArray[Any]:
    """Return `array` if it has `shape`.

    Raises:
        BundleError: where a graph gave something else.
    """
    if array.shape != shape:
        raise BundleError(f"{file} gave an array of shape {array.shape}, not {shape}")
    return np.ascontiguousarray(array)
