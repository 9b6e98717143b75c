"""Where the flow of face clips comes from: a bundle's detector, or a flow network that training wrote."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import flowtell
from flowtell import InputError
from flowtell.training.run_folder import file_sha256

__all__ = ["FlowSource", "load_flow_network", "open_flow_source"]

FLOW_WEIGHTS_NAME = "flow.weights.h5"
FLOW_DESCRIPTION_NAME = "flow.json"


@dataclass(frozen=True)
class FlowSource:
    """Something that computes flow.

    Attributes:
        name: what messages and indices call it.
        sha256: of the graph or the weights that compute it.
        flow: from a clip uint8 `[T+1, S, S, 3]` to its flow float `[T, S/4, S/4, 2]` in px of the crop.
    """

    name: str
    sha256: str
    flow: Callable[[np.ndarray], np.ndarray]


def open_flow_source(folder):
    """Open a bundle, a model folder, or the folder of a flow network's run.

    Raises:
        InputError: it is none of these.
        flowtell.FlowtellError: it is a bundle that cannot be opened.
    """
    folder = Path(folder)
    if (folder / "manifest.json").is_file():
        # One provider, one thread: the same flow bit for bit on every machine of a kind.
        detector = flowtell.Detector.open(folder, provider="cpu", threads=1)
        sha256 = detector.bundle.manifest.graphs["detector"]["fp32"].sha256
        return FlowSource(folder.name, sha256, lambda clip: detector.score_clips(clip[None]).flow[0])
    network = load_flow_network(folder)
    from flowtell.training.flow_features import flow_step, pair_flow

    step = flow_step(network)
    return FlowSource(
        folder.name,
        file_sha256(folder / FLOW_WEIGHTS_NAME),
        lambda clip: pair_flow(step, clip[:-1], clip[1:], batch_size=4),
    )


def load_flow_network(folder):
    """Return the `PWCNet` of a model folder or of the run of a flow network.

    Raises:
        InputError: there is none, or its weights do not fit.
    """
    from flowtell.training.models import FlowNetworkConfig, build_flow_network

    folder = Path(folder)
    if (folder / "manifest.json").is_file():
        raise InputError(
            f"'{folder}' is a bundle, and its network is asked for: take it apart with "
            f"flowtell export {folder} --keras --out DIR"
        )
    weights = folder / FLOW_WEIGHTS_NAME
    described = next((p for n in (FLOW_DESCRIPTION_NAME, "model.json") if (p := folder / n).is_file()), None)
    if described is None or not weights.is_file():
        raise InputError(
            f"there is no flow network in '{folder}': give a bundle, a model folder or a run of "
            "flowtell train flow"
        )
    try:
        network = build_flow_network(FlowNetworkConfig.from_dict(json.loads(described.read_text())["flow"]))
        network.load_weights(weights)
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        raise InputError(f"'{weights}' does not fit '{described.name}': {error}") from error
    return network
