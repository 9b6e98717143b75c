"""What a TensorRT plan is for: it is used where every word of its key is what is wanted, or not at all."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from ._manifest import Manifest

__all__ = ["CLIPS_PER_CALL", "PlanKey", "Shapes", "profile_of", "system_name"]

CLIPS_PER_CALL = 8
"""How many face clips share a call on a GPU at most. At 256 px a clip of 16 pairs took 0.2 GB on a CPU."""

Shapes = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""The smallest, the usual and the largest shape of an input."""

_LARGEST_IMAGE_PX = (480, 854)
"""Height and width of the largest pair that `flow.onnx` gets a plan for."""


@dataclass(frozen=True)
class PlanKey:
    """Everything that a plan depends on.

    Attributes:
        graph_sha256: of the bytes of the graph.
        backend: the TensorRT that built it: `tensorrt` or `tensorrt_rtx`.
        version: of that, all four numbers: plans of another are not read.
        gpu: name of the GPU; empty for `tensorrt_rtx`, whose plans are for a compute capability.
        compute_capability: of the GPU, such as `8.6`.
        precision: what the graph computes in: `fp32`, `fp16` or `int8`.
        profile: name of each input to its smallest, usual and largest shape.
        system: operating system and processor, such as `Linux-x86_64`.
    """

    graph_sha256: str
    backend: str
    version: str
    gpu: str
    compute_capability: str
    precision: str
    profile: Mapping[str, Shapes]
    system: str

    def canonical(self) -> bytes:
        """Return the key as a plan's file holds it: JSON in ASCII, keys sorted, no spaces."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode("ascii")

    @property
    def name(self) -> str:
        """What the plan's file is called, without its ending: SHA-256 of the canonical form."""
        return hashlib.sha256(self.canonical()).hexdigest()


def profile_of(graph: str, manifest: Manifest) -> dict[str, Shapes] | None:
    """Return the shapes that a plan of `detector`, `flow` or `classifier` serves, or None for other graphs.

    The detector's are 1 to 8 clips of 1 to T pairs, best at one clip of T.
    """
    side, pairs = manifest.crop_size, manifest.pairs_per_clip
    if graph == "detector":
        clips = [(b, t + 1, side, side, 3) for b, t in ((1, 1), (1, pairs), (CLIPS_PER_CALL, pairs))]
        return {"clips": (clips[0], clips[1], clips[2])}
    if graph == "flow":
        images: Shapes = ((1, 64, 64, 3), (1, 256, 256, 3), (2, *_LARGEST_IMAGE_PX, 3))
        return {"image1": images, "image2": images}
    if graph == "classifier":
        channels = 3 if manifest.flow_encoding == "uv_residual" else 2
        flows = [(count, side // 4, side // 4, channels) for count in (1, pairs, CLIPS_PER_CALL * pairs)]
        return {"flow": (flows[0], flows[1], flows[2])}
    return None


def system_name() -> str:
    """Return `PlanKey.system` of this machine."""
    return f"{platform.system()}-{platform.machine()}"
