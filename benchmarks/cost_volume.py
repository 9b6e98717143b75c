"""Forms of PWC-Net's cost volume in standard ONNX operators, timed beside each other on the CPU.

    python -m flowtell.benchmarks.cost_volume [--runs N]

Prints one JSON object: for each pyramid level of a 256 px crop, the forms' times in ONNX Runtime, one thread,
in turn, and how far each lies from a NumPy definition, which is checked first. Half a minute on a quiet core.
"""

import argparse
import json
from dataclasses import asdict

import numpy as np
from onnx import TensorProto, helper

from flowtell.benchmarks.machine import machine_context
from flowtell.benchmarks.statistics import interleaved_timings
from flowtell.export._graph_builder import IR_VERSION, OPSET, GraphBuilder, tensor
from flowtell.export.calibration import session_of
from flowtell.export.passes import COST_VOLUME_OP, OPAQUE_DOMAIN, lower_cost_volume

D = 4
SPAN = 2 * D + 1
# (channels, side) of levels 2 to 6 of a 256 px crop.
LEVELS = {2: (32, 64), 3: (64, 32), 4: (96, 16), 5: (128, 8), 6: (196, 4)}
# Largest difference to the definition that still counts as the same work.
SAME = 1e-4


def main():
    """Check, time and print; see the module."""
    parser = argparse.ArgumentParser(description="Time forms of the cost volume.")
    parser.add_argument("--runs", type=int, default=15, help="timed runs of each form (default: 15)")
    args = parser.parse_args()
    levels = {level: measure(*shape, args.runs) for level, shape in LEVELS.items()}
    print(json.dumps({"machine": machine_context(), "runs": args.runs, "levels": levels}, indent=2))


def measure(channels, side, runs):
    """Return for each form its difference to the definition, its nodes and its time.

    Raises:
        RuntimeError: a form computes something else.
    """
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=(2, 1, channels, side, side)).astype(np.float32)
    wanted, found, contenders = definition(first, second), {}, {}
    for name, model in forms(channels, side).items():
        session = session_of(model)
        inputs = {"f1": first, "f2": second}
        difference = float(np.abs(session.run(None, inputs)[0] - wanted).max())
        if not difference <= SAME:
            raise RuntimeError(f"{name} differs from the definition by {difference}")
        found[name] = {"difference": difference, "nodes": len(model.graph.node)}
        contenders[name] = lambda session=session, inputs=inputs: session.run(None, inputs)
    timings = interleaved_timings(contenders, runs)
    return {name: facts | asdict(timings[name]) for name, facts in found.items()}


def definition(first, second):
    """Return `float64 [1, 81, H, W]` by plain sums."""
    height, width = first.shape[2:]
    padded = np.pad(second.astype(np.float64), ((0, 0), (0, 0), (D, D), (D, D)))
    return np.stack(
        [
            (first * padded[:, :, dy : dy + height, dx : dx + width]).mean(1)
            for dy in range(SPAN)
            for dx in range(SPAN)
        ],
        axis=1,
    )


def forms(channels, side):
    """Return name to model; each takes `f1` and `f2`, `float32 [N, C, H, W]`."""
    return {
        "matrix product a row offset, diagonals": _diagonals(channels, side),
        "one matrix product for all row offsets, diagonals": _all_rows(channels, side),
        "81 slices, products, means": _slices(channels, side),
    }


def _diagonals(channels, side):
    node = helper.make_node(COST_VOLUME_OP, ["f1", "f2"], ["cost"], domain=OPAQUE_DOMAIN)
    return lower_cost_volume(_model([node], [], channels, side, opaque=True))


def _slices(channels, side):
    b = GraphBuilder("slices")
    padded = b.node("Pad", "f2", b.constant([0, 0, D, D, 0, 0, D, D]))
    planes = []
    for dy in range(SPAN):
        for dx in range(SPAN):
            window = b.node("Slice", padded, b.constant([dy, dx]), b.constant([dy + side, dx + side]),
                            b.constant([2, 3]))  # fmt: skip
            planes.append(b.node("ReduceMean", b.node("Mul", "f1", window), b.constant([1]), keepdims=1))
    b.node("Concat", *planes, axis=1, outputs=["cost"])
    return _model(b.nodes, b.initializers.values(), channels, side)


def _all_rows(channels, side):
    """All nine row offsets are one batch axis: one product, one Pad, one Reshape, for more memory."""
    b = GraphBuilder("all_rows")
    mean = b.node("Mul", "f1", b.constant(1 / channels, np.float32))
    rows1 = b.node("Unsqueeze", b.node("Transpose", mean, perm=[0, 2, 3, 1]), b.constant([2]))
    padded = b.node("Transpose", b.node("Pad", "f2", b.constant([0, 0, D, D, 0, 0, D, D])), perm=[0, 2, 1, 3])
    offsets = np.arange(side)[:, None] + np.arange(SPAN)
    rows2 = b.node("Gather", padded, b.constant(offsets, name="rows"), axis=1)
    products = b.node("Reshape", b.node("MatMul", rows1, rows2), b.constant([0, 0, 0, -1]))
    skewed = b.node("Reshape", b.node("Pad", products, b.constant([0] * 7 + [side])),
                    b.constant([0, 0, 0, side, side + 2 * D + 1]))  # fmt: skip
    wanted = b.node("Slice", skewed, b.constant([0]), b.constant([SPAN]), b.constant([4]))
    ordered = b.node("Transpose", wanted, perm=[0, 2, 4, 1, 3])
    b.node("Reshape", ordered, b.constant([0, SPAN * SPAN, side, side]), outputs=["cost"])
    return _model(b.nodes, b.initializers.values(), channels, side)


def _model(nodes, initializers, channels, side, opaque=False):
    shape = ["N", channels, side, side]
    graph = helper.make_graph(
        nodes,
        "cost_volume",
        [tensor(name, TensorProto.FLOAT, shape) for name in ("f1", "f2")],
        [tensor("cost", TensorProto.FLOAT, ["N", SPAN * SPAN, side, side])],
        list(initializers),
    )
    opsets = [helper.make_opsetid("", OPSET)] + ([helper.make_opsetid(OPAQUE_DOMAIN, 1)] if opaque else [])
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


if __name__ == "__main__":
    main()
