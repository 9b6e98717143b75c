"""What a provider gets of a graph and what it gives: something that runs it and says what it takes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from numpy.typing import NDArray

from ._plan_key import Shapes

__all__ = ["GraphRunner", "GraphSource", "RunningCall", "Values"]

Values = Mapping[str, tuple[str, int]]
"""Inputs or outputs of a graph: name -> (type as ONNX Runtime writes it, such as `tensor(uint8)`, rank)."""


@dataclass(frozen=True)
class GraphSource:
    """A graph of a bundle.

    Attributes:
        data: its bytes, as they were checked.
        file: its file's name, for messages.
        precision: what it computes in: `fp32`, `fp16`, `bf16` or `int8`.
        profile: name of each input to the smallest, usual and largest shape that a plan is built for; empty
            for graphs that run on the CPU alone.
    """

    data: bytes
    file: str
    precision: str = "fp32"
    profile: Mapping[str, Shapes] = field(default_factory=dict)


class RunningCall:
    """A call to a graph that another thread may end before its time.

    Attributes:
        is_stopped: whether it was; what it then gives is an error.
    """

    def __init__(self) -> None:
        self.is_stopped = False
        self._stop: Callable[[], object] | None = None
        self._lock = threading.Lock()

    def arm(self, stop: Callable[[], object]) -> None:
        """Say what ends the call; done at once where it was stopped before it began."""
        with self._lock:
            self._stop = stop
            if self.is_stopped:
                stop()

    def disarm(self) -> None:
        """Say that the call is over: what ended it may be another call's by now."""
        with self._lock:
            self._stop = None

    def stop(self) -> None:
        """End the call."""
        with self._lock:
            self.is_stopped = True
            if self._stop is not None:
                self._stop()


class GraphRunner(Protocol):
    """One graph, ready to run from any number of threads at once."""

    @property
    def inputs(self) -> Values:
        """What the graph takes."""

    @property
    def outputs(self) -> Values:
        """What it gives."""

    def run(
        self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]], call: RunningCall | None
    ) -> list[NDArray[Any]]:
        """Return the named outputs; `call` lets another thread end the run.

        Raises:
            Exception: whatever the runtime raises, also where the call was stopped.
        """
