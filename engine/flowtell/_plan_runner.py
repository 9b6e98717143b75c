"""Runs a TensorRT plan of the cache: its buffers and streams are CUDA's, `enqueueV3` is TensorRT's."""

from __future__ import annotations

import queue
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._cuda import CudaStream, DeviceBuffer, device_address
from ._errors import ProviderError
from ._runner import RunningCall

__all__ = ["PlanRunner"]

_TYPES = {"uint8": "tensor(uint8)", "float32": "tensor(float)", "int64": "tensor(int64)"}


class PlanRunner:
    """A `GraphRunner` with one execution context, stream and set of buffers for each caller.

    Inputs are NumPy arrays, which are copied to the GPU, or arrays that lie there
    (`__cuda_array_interface__`), which are not. A call that has begun cannot be ended before its time.
    """

    def __init__(self, plan: bytes, file: str, trt: ModuleType, cuda: ModuleType, threads: int) -> None:
        """Open a plan that is known to be made here, on a machine that is known to have a GPU.

        Args:
            plan: as TensorRT built it.
            file: name of the graph, for messages.
            trt: TensorRT's module.
            cuda: `flowtell._cuda.load_cuda()`.
            threads: how many call `run` at a time.

        Raises:
            ProviderError: where TensorRT refuses the plan or there is not enough memory.
        """
        self._file = file
        self._runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise ProviderError(f"TensorRT refuses the plan of '{file}': run 'flowtell plan' again")
        self._input_types: dict[str, np.dtype[Any]] = {}
        self._output_types: dict[str, np.dtype[Any]] = {}
        ranks = {}
        for index in range(self._engine.num_io_tensors):
            name = self._engine.get_tensor_name(index)
            is_input = self._engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
            types = self._input_types if is_input else self._output_types
            types[name] = np.dtype(trt.nptype(self._engine.get_tensor_dtype(name)))
            ranks[name] = len(tuple(self._engine.get_tensor_shape(name)))
        self.inputs = {name: (_type_name(kind), ranks[name]) for name, kind in self._input_types.items()}
        self.outputs = {name: (_type_name(kind), ranks[name]) for name, kind in self._output_types.items()}
        self._idle: queue.SimpleQueue[_Lane] = queue.SimpleQueue()
        for _ in range(threads):
            context = self._engine.create_execution_context()
            if context is None:
                raise ProviderError(f"the GPU has not enough memory to run '{file}'")
            self._idle.put(_Lane(context, CudaStream(cuda), {name: DeviceBuffer(cuda) for name in ranks}))

    def run(
        self, outputs: Sequence[str], inputs: Mapping[str, Any], call: RunningCall | None
    ) -> list[NDArray[Any]]:
        """Return the named outputs; see `GraphRunner.run`.

        Raises:
            ProviderError: for a shape that the plan was not built for, and where CUDA or TensorRT fails.
            InputError: for an array on the GPU that cannot be used as it lies there.
        """
        lane = self._idle.get()
        try:
            held = [self._give(lane, name, value) for name, value in inputs.items()]
            results = {}
            for name, kind in self._output_types.items():
                shape = tuple(lane.context.get_tensor_shape(name))
                results[name] = np.empty(shape, kind)
                lane.context.set_tensor_address(name, lane.buffers[name].reserve(results[name].nbytes))
            if not lane.context.execute_async_v3(lane.stream.handle):
                raise ProviderError(f"TensorRT could not start '{self._file}'")
            for name in outputs:
                lane.stream.copy_out(results[name], lane.buffers[name].address)
            lane.stream.wait()
            del held  # until here, the GPU may read from it
            return [results[name] for name in outputs]
        except BaseException:
            with suppress(ProviderError):
                lane.stream.wait()  # what was begun may still read and write the arrays
            raise
        finally:
            self._idle.put(lane)

    def _give(self, lane: _Lane, name: str, value: Any) -> Any:
        """Let the context read an input; return what must live until it has."""
        dtype = self._input_types[name]
        if hasattr(value, "__cuda_array_interface__"):
            address, shape = device_address(value, dtype)
            self._set_shape(lane, name, shape)
        else:
            value = np.ascontiguousarray(value, dtype)
            self._set_shape(lane, name, value.shape)
            address = lane.buffers[name].reserve(value.nbytes)
            lane.stream.copy_in(address, value)
        lane.context.set_tensor_address(name, address)
        return value

    def _set_shape(self, lane: _Lane, name: str, shape: tuple[int, ...]) -> None:
        smallest, _, largest = (tuple(each) for each in self._engine.get_tensor_profile_shape(name, 0))
        fits = len(shape) == len(smallest) and all(
            low <= size <= high for low, size, high in zip(smallest, shape, largest, strict=True)
        )
        if not fits or not lane.context.set_input_shape(name, shape):
            raise ProviderError(
                f"the plan of '{self._file}' takes {name} from {smallest} to {largest}, not {shape}"
            )


def _type_name(kind: np.dtype[Any]) -> str:
    return _TYPES.get(str(kind), str(kind))


class _Lane:
    """What one caller at a time needs."""

    def __init__(self, context: Any, stream: CudaStream, buffers: Mapping[str, DeviceBuffer]) -> None:
        self.context = context
        self.stream = stream
        self.buffers = buffers
