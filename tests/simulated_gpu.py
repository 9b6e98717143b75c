"""CUDA and TensorRT as far as a plan's runner uses them, in host memory; a "plan" is an ONNX graph.

Nothing that is put into a stream happens before somebody waits for the stream: what a runner frees or returns
too early shows. It says nothing about how kernels run.
"""

from __future__ import annotations

import ctypes
import enum
import itertools
from types import SimpleNamespace

import numpy as np
import onnxruntime

Status = enum.IntEnum("Status", {"cudaSuccess": 0, "cudaErrorMemoryAllocation": 2})


class SimulatedCuda:
    """`cuda.bindings.runtime`: memory, streams, copies."""

    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice="in", cudaMemcpyDeviceToHost="out")  # noqa: N815

    def __init__(self, memory_bytes=1 << 30):
        self.memory_bytes = memory_bytes
        self.memory = {}
        self.streams = {}
        self._handles = itertools.count(1)
        self.copied_in = 0

    def cudaMalloc(self, size):  # noqa: N802
        if sum(block.nbytes for block in self.memory.values()) + size > self.memory_bytes:
            return Status.cudaErrorMemoryAllocation, None
        block = np.full(size, 0xAA, np.uint8)
        self.memory[block.ctypes.data] = block
        return Status.cudaSuccess, block.ctypes.data

    def cudaFree(self, address):  # noqa: N802
        del self.memory[address]
        return (Status.cudaSuccess,)

    def cudaStreamCreate(self):  # noqa: N802
        handle = next(self._handles)
        self.streams[handle] = []
        return Status.cudaSuccess, handle

    def cudaStreamDestroy(self, stream):  # noqa: N802
        assert self.streams.pop(stream) == [], "a stream was given up before its work was done"
        return (Status.cudaSuccess,)

    def cudaMemcpyAsync(self, to, start, size, kind, stream):  # noqa: N802
        self.copied_in += kind == "in"
        self.streams[stream].append(lambda: ctypes.memmove(to, start, size))
        return (Status.cudaSuccess,)

    def cudaStreamSynchronize(self, stream):  # noqa: N802
        while self.streams[stream]:
            self.streams[stream].pop(0)()
        return (Status.cudaSuccess,)


class DeviceArray:
    """An array in the simulated GPU's memory, described as PyTorch, CuPy and PyCUDA do."""

    def __init__(self, cuda, array, strides=None):
        _, address = cuda.cudaMalloc(array.nbytes)
        cuda.memory[address][:] = np.ascontiguousarray(array).view(np.uint8).reshape(-1)
        self.address = address
        self.__cuda_array_interface__ = {
            "shape": array.shape,
            "typestr": array.dtype.str,
            "data": (address, False),
            "strides": strides,
            "version": 3,
        }


class SimulatedTensorRT:
    """The module `tensorrt`: a runtime whose engines compute by ONNX Runtime."""

    TensorIOMode = enum.Enum("TensorIOMode", ["INPUT", "OUTPUT"])

    class Logger:
        ERROR = 1

        def __init__(self, severity):
            self.severity = severity

    def __init__(self, cuda, profile):
        self._cuda = cuda
        self._profile = profile
        self.contexts = []

    def Runtime(self, logger):  # noqa: N802
        return SimpleNamespace(deserialize_cuda_engine=self._open)

    def nptype(self, kind):
        return {"tensor(uint8)": np.uint8, "tensor(float)": np.float32}[kind]

    def _open(self, plan):
        return _Engine(self, plan) if plan.startswith(b"\x08") else None


class _Engine:
    def __init__(self, trt, plan):
        self.trt = trt
        self.session = onnxruntime.InferenceSession(plan, providers=["CPUExecutionProvider"])
        self.inputs = {value.name: value for value in self.session.get_inputs()}
        self.values = {**self.inputs, **{value.name: value for value in self.session.get_outputs()}}
        self.num_io_tensors = len(self.values)

    def get_tensor_name(self, index):
        return list(self.values)[index]

    def get_tensor_mode(self, name):
        modes = self.trt.TensorIOMode
        return modes.INPUT if name in self.inputs else modes.OUTPUT

    def get_tensor_dtype(self, name):
        return self.values[name].type

    def get_tensor_shape(self, name):
        return [-1] * len(self.values[name].shape)

    def get_tensor_profile_shape(self, name, index):
        assert index == 0
        return self.trt._profile[name]

    def create_execution_context(self):
        self.trt.contexts.append(_Context(self))
        return self.trt.contexts[-1]


class _Context:
    """Knows the shapes of outputs as TensorRT does: from those of the inputs alone."""

    def __init__(self, engine):
        self.engine = engine
        self.shapes = {}
        self.addresses = {}

    def set_input_shape(self, name, shape):
        self.shapes[name] = tuple(shape)
        return True

    def get_tensor_shape(self, name):
        batch, frames, side = self.shapes["clips"][:3]
        pairs = frames - 1
        return {
            "pair_logits": (batch, pairs),
            "clip_logit": (batch,),
            "flow": (batch, pairs, side // 4, side // 4, 2),
        }[name]

    def set_tensor_address(self, name, address):
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream):
        if set(self.addresses) != set(self.engine.values):
            return False  # TensorRT wants an address for every tensor, also for those nobody asks for
        self.engine.trt._cuda.streams[stream].append(self._compute)
        return True

    def _compute(self):
        shape = self.shapes["clips"]
        clips = _array_at(self.addresses["clips"], shape, np.uint8).copy()
        names = [name for name in self.engine.values if name != "clips"]
        for name, result in zip(names, self.engine.session.run(names, {"clips": clips}), strict=True):
            assert result.shape == self.get_tensor_shape(name)
            _array_at(self.addresses[name], result.shape, np.float32)[...] = result


def _array_at(address, shape, dtype):
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = (ctypes.c_uint8 * size).from_address(address)
    return np.frombuffer(memory, dtype).reshape(shape)
