"""The authors' PyTorch layout of PWC-Net, read into the Keras network; the files are written by the test."""

from __future__ import annotations

import importlib.util
import json
import os

import numpy as np
import pytest
from tolerances import TOLERANCES

from flowtell import InputError
from flowtell.__main__ import main
from flowtell.export.torch_pwcnet import pwcnet_from_torch, read_state_dict

HAS_TORCH = importlib.util.find_spec("torch") is not None
needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed: pip install torch==2.13.0")

PYRAMID = (3, 16, 32, 64, 96, 128, 196)
DECODER = (128, 128, 96, 64, 32)
CONTEXT = (128, 128, 128, 96, 64, 32)
DILATIONS = (1, 2, 4, 8, 16, 1)
COST = 81


def shapes():
    """Return every name of the published layout and its shape in PyTorch."""
    found = {}

    def conv(name, inputs, outputs, side=3):
        found[f"{name}.weight"], found[f"{name}.bias"] = (outputs, inputs, side, side), (outputs,)

    def up(name, inputs):
        found[f"{name}.weight"], found[f"{name}.bias"] = (inputs, 2, 4, 4), (2,)

    for level in range(1, 7):
        inputs, outputs = PYRAMID[level - 1], PYRAMID[level]
        for suffix in ("aa", "a", "b") if level == 6 else ("a", "aa", "b"):
            conv(f"conv{level}{suffix}.0", inputs, outputs)
            inputs = outputs
    for level in range(6, 1, -1):
        inputs = COST if level == 6 else COST + PYRAMID[level] + 4
        for index, outputs in enumerate(DECODER):
            conv(f"conv{level}_{index}.0", inputs, outputs)
            inputs += outputs
        conv(f"predict_flow{level}", inputs, 2)
        up(f"deconv{level}", 2)
        if level > 2:
            up(f"upfeat{level}", inputs)
    for index, outputs in enumerate(CONTEXT, start=1):
        conv(f"dc_conv{index}.0", inputs, outputs)
        inputs = outputs
    conv("dc_conv7", inputs, 2)
    return found


@pytest.fixture(scope="module")
def state():
    """Random weights under which features keep their size."""
    generator = np.random.default_rng(0)
    weights = {}
    for name, shape in shapes().items():
        if len(shape) == 1:
            weights[name] = generator.uniform(-0.1, 0.1, shape).astype(np.float32)
        else:
            inputs = shape[0] * 4 if name.startswith(("deconv", "upfeat")) else np.prod(shape[1:])
            weights[name] = generator.normal(0, np.sqrt(2 / inputs), shape).astype(np.float32)
    return weights


def write_safetensors(path, arrays, **header):
    entries, body = dict(header), b""
    for name, array in arrays.items():
        data = array.tobytes()
        kind = {"float32": "F32", "float16": "F16"}[array.dtype.name]
        span = [len(body), len(body) + len(data)]
        entries[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": span}
        body += data
    text = json.dumps(entries).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    return path


@pytest.fixture(scope="module")
def file(state, tmp_path_factory):
    return write_safetensors(
        tmp_path_factory.mktemp("torch") / "pwc.safetensors", state, __metadata__={"format": "pt"}
    )


@pytest.fixture(scope="module")
def network(file):
    return pwcnet_from_torch(file)


def plain_conv(x, weight, bias, stride):
    """A 3x3 convolution over [H, W, C] as PyTorch defines it, padded by one, from its sums."""
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    height, width = (x.shape[0] + stride - 1) // stride, (x.shape[1] + stride - 1) // stride
    result = np.broadcast_to(bias, (height, width, len(bias))).copy()
    for row in range(3):
        for column in range(3):
            window = padded[row : row + stride * height : stride, column : column + stride * width : stride]
            result += window[:height, :width] @ weight[:, :, row, column].T
    return result


def leaky(x):
    return np.where(x > 0, x, 0.1 * x)


def test_the_pyramid_is_theirs_on_blue_green_red(network, state):
    image = np.random.default_rng(1).integers(0, 256, (64, 64, 3)).astype(np.float32)
    wanted = image[..., ::-1] / 255
    for name, stride in (("conv1a", 2), ("conv1aa", 1), ("conv1b", 1), ("conv2a", 2)):
        wanted = leaky(plain_conv(wanted, state[f"{name}.0.weight"], state[f"{name}.0.bias"], stride))
    ours = network.encode(image[None])
    first = network.pyramid.levels[1][0](ours[0])
    np.testing.assert_allclose(
        np.asarray(first)[0], wanted, atol=TOLERANCES["other_backend"].value * np.abs(wanted).max()
    )


def test_upsampling_is_theirs(network, state):
    flow = np.random.default_rng(2).normal(size=(3, 4, 2)).astype(np.float32)
    weight, bias = state["deconv6.weight"], state["deconv6.bias"]
    full = np.zeros((2 * 3 + 2, 2 * 4 + 2, 2))
    for row in range(3):
        for column in range(4):
            # Each input pixel paints its kernel, 4x4, two pixels further on than its neighbour's.
            painted = np.einsum("i,iohw->hwo", flow[row, column], weight)
            full[2 * row : 2 * row + 4, 2 * column : 2 * column + 4] += painted
    wanted = full[1:-1, 1:-1] + bias
    ours = np.asarray(network.upsample_flow[0](flow[None]))[0]
    np.testing.assert_allclose(ours, wanted, atol=TOLERANCES["small_graph"].value)


def test_every_weight_lands_once(network, state):
    names = [name for name in state if not name.startswith("deconv2")]
    assert sum(state[name].size for name in names) == network.count_params() == 9_374_274


@needs_torch
def test_flows_are_those_of_a_pytorch_network(network, state):
    import torch

    images = np.random.default_rng(3).integers(0, 256, (2, 1, 128, 128, 3)).astype(np.float32)
    # Smooth pictures, the second moved by two pixels: noise would put every warp between pixels.
    first, second = (_smooth(image) for image in images[:1].repeat(2, axis=0))
    second = np.roll(second, 2, axis=2)
    with torch.no_grad():
        wanted = torch_flows(
            {name: torch.from_numpy(value) for name, value in state.items()}, *map(_to_torch, (first, second))
        )
    ours = network(first, second)
    assert len(wanted) == len(ours) == 5
    for theirs, flow in zip(wanted, ours, strict=True):
        theirs = theirs.numpy().transpose(0, 2, 3, 1)
        tolerance = TOLERANCES["other_backend"].value * np.abs(theirs).max()
        np.testing.assert_allclose(np.asarray(flow), theirs, atol=tolerance)


def _smooth(image):
    for axis in (1, 2):
        image = sum(np.roll(image, shift, axis=axis) for shift in range(-6, 7)) / 13
    return image.astype(np.float32)


def _to_torch(image):
    import torch

    return torch.from_numpy(np.ascontiguousarray(image[..., ::-1].transpose(0, 3, 1, 2))) / 255


def torch_flows(state, image1, image2):
    """PWC-Net in PyTorch's own operators (CVPR 2018, figure 3), from a state dict of the authors' layout."""
    import torch
    from torch.nn import functional

    def conv(name, x, stride=1, dilation=1, linear=False):
        x = functional.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], stride, dilation, dilation)
        return x if linear else functional.leaky_relu(x, 0.1)

    def up(name, x):
        return functional.conv_transpose2d(x, state[f"{name}.weight"], state[f"{name}.bias"], 2, 1)

    def pyramid(x):
        levels = []
        for level in range(1, 7):
            suffixes = ("aa", "a", "b") if level == 6 else ("a", "aa", "b")
            for index, suffix in enumerate(suffixes):
                x = conv(f"conv{level}{suffix}.0", x, stride=2 if index == 0 else 1)
            levels.append(x)
        return levels

    def cost(a, b):
        height, width = a.shape[2:]
        b = functional.pad(b, (4, 4, 4, 4))
        windows = [
            (a * b[:, :, dy : dy + height, dx : dx + width]).mean(1) for dy in range(9) for dx in range(9)
        ]
        return functional.leaky_relu(torch.stack(windows, 1), 0.1)

    def warp(x, flow):
        height, width = x.shape[2:]
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        grid = torch.stack(
            [2 * (columns + flow[:, 0]) / (width - 1) - 1, 2 * (rows + flow[:, 1]) / (height - 1) - 1], dim=-1
        )
        return functional.grid_sample(x, grid, align_corners=True)

    features1, features2 = pyramid(image1), pyramid(image2)
    flows, x, flow = [], None, None
    for level in range(6, 1, -1):
        a, b = features1[level - 1], features2[level - 1]
        if flow is None:
            x = cost(a, b)
        else:
            flow, more = up(f"deconv{level + 1}", flow), up(f"upfeat{level + 1}", x)
            x = torch.cat([cost(a, warp(b, flow * (20 / 2**level))), a, flow, more], 1)
        for index in range(5):
            x = torch.cat([conv(f"conv{level}_{index}.0", x), x], 1)
        flow = conv(f"predict_flow{level}", x, linear=True)
        if level == 2:
            y = x
            for index, dilation in enumerate(DILATIONS, start=1):
                y = conv(f"dc_conv{index}.0", y, dilation=dilation)
            flow = flow + conv("dc_conv7", y, linear=True)
        flows.append(flow)
    return flows


# Files


@needs_torch
def test_a_file_of_torch_save_is_read_alike(state, file, tmp_path):
    import torch

    path = tmp_path / "pwc.pth"
    wrapped = {"state_dict": {f"module.{name}": torch.from_numpy(value) for name, value in state.items()}}
    torch.save(wrapped, path)
    ours, theirs = pwcnet_from_torch(path).get_weights(), pwcnet_from_torch(file).get_weights()
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine, other)


class Runs:
    """What unpickles to a call."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (self.path,))


@needs_torch
def test_code_in_a_file_of_torch_save_does_not_run(tmp_path):
    import torch

    torch.save({"conv1a.0.weight": Runs(str(tmp_path / "ran"))}, tmp_path / "evil.pth")
    with pytest.raises(InputError, match="not a file of PyTorch weights alone"):
        read_state_dict(tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.skipif(HAS_TORCH, reason="torch is installed: its absence cannot be shown")
def test_without_torch_a_sentence_says_what_to_do(tmp_path):
    (tmp_path / "pwc.pth").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"needs PyTorch .* or the same weights as \.safetensors"):
        read_state_dict(tmp_path / "pwc.pth")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "cut off"),
        ((1 << 40).to_bytes(8, "little") + b"{}", "cut off or too long"),
        ((2).to_bytes(8, "little") + b"[]", "not a safetensors"),
        ((4).to_bytes(8, "little") + b"nope", "not a safetensors"),
        ((9).to_bytes(8, "little") + b'{"a": {}}', "data_offsets"),
    ],
)
def test_damaged_safetensors_are_refused(tmp_path, data, says):
    (tmp_path / "x.safetensors").write_bytes(data)
    with pytest.raises(InputError, match=says):
        read_state_dict(tmp_path / "x.safetensors")


def test_an_array_outside_the_file_is_refused(tmp_path):
    path = write_safetensors(tmp_path / "x.safetensors", {"a": np.zeros(4, np.float32)})
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(InputError, match="outside the file"):
        read_state_dict(path)


def test_another_network_is_refused(state, tmp_path):
    path = tmp_path / "x.safetensors"
    write_safetensors(path, {name: value for name, value in state.items() if name != "dc_conv7.bias"})
    with pytest.raises(InputError, match=r"no 'dc_conv7\.bias'"):
        pwcnet_from_torch(path)
    write_safetensors(path, state | {"conv2b.0.bias": np.zeros(7, np.float32)})
    with pytest.raises(InputError, match=r"conv2b\.0 has the shape \(7,\) where \(32,\)"):
        pwcnet_from_torch(path)
    write_safetensors(path, state | {"lstm.weight": np.zeros(7, np.float32)})
    with pytest.raises(InputError, match=r"it also has lstm\.weight"):
        pwcnet_from_torch(path)
    with pytest.raises(InputError, match="there is no file"):
        pwcnet_from_torch(tmp_path / "nowhere.pth")


def test_the_command_writes_the_network_alone(file, tmp_path, capsys):
    import onnxruntime

    out = tmp_path / "out"
    assert main(["export", str(file), "--only", "flow", "--out", str(out)]) == 0
    session = onnxruntime.InferenceSession(out / "flow.onnx", providers=["CPUExecutionProvider"])
    image = np.zeros((1, 70, 90, 3), np.uint8)
    assert session.run(None, {"image1": image, "image2": image})[0].shape == (1, 70, 90, 2)
    assert main(["export", str(file), "--out", str(tmp_path / "b")]) == 2
    assert "--only flow" in capsys.readouterr().err
    words = ["export", str(file), "--only", "flow", "--clips", str(file), "--out", str(tmp_path / "c")]
    assert main(words) == 2
    assert "--clips say nothing beside it" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()
