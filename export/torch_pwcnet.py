"""PWC-Net as its authors published it for PyTorch, read into the Keras model.

A state dict of their PyTorch code names its convolutions ``conv1a.0``, ``conv1aa.0``, ``conv1b.0``, ...
(the pyramid), ``conv6_0.0`` to ``conv2_4.0`` (the estimators), ``predict_flow6`` to ``predict_flow2``,
``deconv6``, ``upfeat6``, ... and ``dc_conv1.0`` to ``dc_conv7`` (the context network). No weights are shipped
here, and those of the authors come under their own terms (non-commercial).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from flowtell import InputError
from flowtell.training.models import PWCNet, build_flow_network

__all__ = ["TORCH_SUFFIXES", "pwcnet_from_torch", "read_state_dict"]

TORCH_SUFFIXES = (".pth", ".pt", ".safetensors", ".tar")

# The header of a safetensors file is far smaller; this bounds what a hostile one makes us read.
_MAX_HEADER_BYTES = 1 << 20
_SAFETENSORS_DTYPES = {"F16": np.float16, "F32": np.float32, "F64": np.float64}
# Order in which the three convolutions of a pyramid level follow each other; only the last level begins with
# its "aa".
_PYRAMID = dict.fromkeys(range(1, 6), ("a", "aa", "b")) | {6: ("aa", "a", "b")}
# Its authors' network also has an upsampling after the last level, which nothing reads.
_UNREAD = ("deconv2", "upfeat2")


def pwcnet_from_torch(path: Path) -> PWCNet:
    """Read a PyTorch PWC-Net into the Keras ``full`` preset.

    The Keras network takes RGB, theirs blue first: the kernels of the first convolution are turned round.
    Both scale pictures to [0, 1] and flow by 20, order cost volumes by rows of displacements and concatenate
    cost, features, flow and upsampled features in this order. One thing differs: their warp also sets to zero
    what lies less than a pixel outside the picture, where this one fades out.

    Args:
        path: ``.safetensors``, or what ``torch.save`` wrote of a state dict (needs ``torch``, which reads it
            without running code from it).

    Raises:
        InputError: there is no such file, it is none of these, or it holds another network.
    """
    state = read_state_dict(Path(path))
    # Saved from several GPUs at once, names begin with "module.".
    state = {name.removeprefix("module."): value for name, value in state.items()}
    network = build_flow_network("full")
    unused = {name for name in state if name.split(".")[0] not in _UNREAD}
    for layer, theirs in _layers(network).items():
        kernel = _taken(state, f"{theirs}.weight", unused)
        if theirs == "conv1a.0" and kernel.ndim == 4:
            kernel = kernel[:, ::-1]
        if kernel.ndim == 4:
            # From [out, in, h, w] to [h, w, in, out]; where it upsamples, both have in and out the other way.
            kernel = kernel.transpose(2, 3, 1, 0)
        bias = _taken(state, f"{theirs}.bias", unused)
        for value, variable in ((kernel, layer.kernel), (bias, layer.bias)):
            if value.shape != tuple(variable.shape):
                raise InputError(
                    f"'{path}' holds another network: {theirs} has the shape {value.shape} where "
                    f"{tuple(variable.shape)} was expected"
                )
            variable.assign(np.ascontiguousarray(value, np.float32))
    if unused:
        raise InputError(f"'{path}' holds another network: it also has {', '.join(sorted(unused)[:3])}")
    return network


def read_state_dict(path: Path) -> dict[str, np.ndarray]:
    """Read names and arrays from a file without running anything that stands in it.

    Args:
        path: as for `pwcnet_from_torch`.

    Raises:
        InputError: there is no such file, or it is not one of those.
    """
    if not path.is_file():
        raise InputError(f"there is no file '{path}': give a .pth or .safetensors file")
    return _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Read the format's 8 bytes of header length, its JSON header, and the arrays that this names."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    try:
        if not 2 <= length <= min(_MAX_HEADER_BYTES, len(data) - 8):
            raise ValueError("its header is cut off or too long")
        header = json.loads(data[8 : 8 + length])
        header.pop("__metadata__", None)
        body = memoryview(data)[8 + length :]
        return {name: _array(body, entry) for name, entry in header.items()}
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise InputError(f"'{path}' is not a safetensors file of numbers: {error}") from error


def _array(body: memoryview, entry: Mapping[str, object]) -> np.ndarray:
    begin, end = entry["data_offsets"]
    if not 0 <= begin <= end <= len(body):
        raise ValueError("an array lies outside the file")
    return np.frombuffer(body[begin:end], _SAFETENSORS_DTYPES[entry["dtype"]]).reshape(entry["shape"])


def _read_torch(path: Path) -> dict[str, np.ndarray]:
    try:
        import torch
    except ModuleNotFoundError as error:
        raise InputError(
            f"reading '{path}' needs PyTorch (pip install torch), or the same weights as .safetensors"
        ) from error
    try:
        # weights_only: an unpickler that knows tensors and plain containers, and refuses every other name.
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch raises pickle's, zipfile's and its own errors, which share no base class but Exception
        raise InputError(f"'{path}' is not a file of PyTorch weights alone: {_first_line(error)}") from error
    state = state.get("state_dict", state) if isinstance(state, dict) else None
    if not state or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputError(f"'{path}' holds no state dict: save model.state_dict() with torch.save")
    return {str(name): value.detach().to(torch.float32).numpy() for name, value in state.items()}


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _layers(network: PWCNet) -> dict:
    """Return the Keras layer that belongs to each name of theirs."""
    found = {}
    for number, level in enumerate(network.pyramid.levels, start=1):
        for suffix, layer in zip(_PYRAMID[number], level, strict=True):
            found[layer.conv] = f"conv{number}{suffix}.0"
    for level, decoder in zip(range(6, 1, -1), network.decoders, strict=True):
        for index, layer in enumerate(decoder.convs):
            found[layer.conv] = f"conv{level}_{index}.0"
        found[decoder.head] = f"predict_flow{level}"
    for level, flow, features in zip(
        range(6, 2, -1), network.upsample_flow, network.upsample_features, strict=True
    ):
        found[flow], found[features] = f"deconv{level}", f"upfeat{level}"
    for index, layer in enumerate(network.context.convs, start=1):
        found[layer.conv] = f"dc_conv{index}.0"
    found[network.context.head] = f"dc_conv{len(network.context.convs) + 1}"
    return found


def _taken(state: Mapping[str, np.ndarray], name: str, unused: set[str]) -> np.ndarray:
    if name not in state:
        raise InputError(f"the file holds no PWC-Net in its authors' layout: it has no '{name}'")
    unused.discard(name)
    return np.asarray(state[name])
