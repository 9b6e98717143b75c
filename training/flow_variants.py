"""The flow of a prepared set as it would be otherwise: other crops, other compression, another network."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from flowtell.training.contenders import dis_flow
from flowtell.training.prepared_set import PreparedSet
from flowtell.training.pseudo_fakes import recompressed

__all__ = [
    "FlowVariant",
    "a_quarter",
    "compressed_again",
    "dis_of",
    "in_px_of",
    "without_surround",
]

_SURROUND_SHARE = 0.15


@dataclass(frozen=True)
class FlowVariant:
    """A prepared set whose flow is another: what `FeatureCache` asks of a set for images of flow alone.

    Attributes:
        prepared: the `PreparedSet`.
        name: of the variant.
        change: from (set, position) to flow `[N, T, S/4, S/4, 2]` in px of a crop.
    """

    prepared: PreparedSet
    name: str
    change: object

    @property
    def numbers(self):
        """As the set's."""
        return self.prepared.numbers

    def flow(self, position):
        """Return the flow of a video's clips."""
        return self.change(self.prepared, position)

    def sha256(self):
        """Return what tells these features from those of the set."""
        return f"{self.prepared.sha256()}-{self.name}"


def without_surround(prepared, position):
    """Return a video's flow less the mean motion of the crop's rim: the camera's, where the face fills it."""
    flow = prepared.flow(position).astype(np.float32)
    side = flow.shape[2]
    rim = np.ones((side, side), bool)
    width = round(_SURROUND_SHARE * side)
    rim[width:-width, width:-width] = False
    return flow - flow[:, :, rim].mean(axis=2)[:, :, None, None]


def a_quarter(prepared, position):
    """Return a quarter of a video's flow: `uv` shows it as it would the flow at four times its range."""
    return prepared.flow(position) / 4


def dis_of(prepared, position):
    """Return OpenCV's DIS flow of a video's clips."""
    clips = prepared.clips(position)
    return np.stack([[dis_flow(a, b) for a, b in pairwise(c)] for c in clips])


def in_px_of(crop_size):
    """Return what gives a video's flow in px of crops of another size, of which it then is the same share."""

    def change(prepared, position):
        return prepared.flow(position) * np.float16(crop_size / prepared.index["settings"]["crop_size"])

    return change


def compressed_again(flow, crf):
    """Return what computes the flow of crops that went through H.264 once more.

    Args:
        flow: a `FlowSource`.
        crf: constant rate factor, 0 to 51; higher is coarser. It acts on the crop as it was enlarged or
            shrunk, so a small face loses less by it than it would in its file.

    Returns:
        function of (`PreparedSet`, position) to flow `[clips, T / 2, S/4, S/4, 2]` of the first half of each
        clip's pairs: flow is dear.
    """

    def change(prepared, position):
        frames = prepared.clips(position)[:, : prepared.pairs_per_clip // 2 + 1]
        return np.stack([flow.flow(recompressed(clip, crf)) for clip in frames])

    return change
