"""A prepared set as it would be otherwise: other flow, other crops, or the same flow shown in another way."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from flowtell.training.flow_source import FlowSource
from flowtell.training.prepared_set import PreparedSet
from flowtell.training.pseudo_fakes import recompressed

__all__ = [
    "ClipVariant",
    "FlowVariant",
    "a_quarter",
    "compressed_again",
    "in_px_of",
    "without_surround",
]

_SURROUND_SHARE = 0.15


@dataclass(frozen=True)
class _Variant:
    """What is the same in both.

    Attributes:
        prepared: the `PreparedSet`.
        name: of the variant.
    """

    prepared: PreparedSet
    name: str

    @property
    def numbers(self):
        """As the set's."""
        return self.prepared.numbers

    def sha256(self):
        """Return what tells these features from those of the set."""
        return f"{self.prepared.sha256()}-{self.name}"


@dataclass(frozen=True)
class FlowVariant(_Variant):
    """A prepared set whose flow is another: what `FeatureCache` asks of a set.

    Attributes:
        change: from (set, position) to flow `[N, n, S/4, S/4, 2]` in px of a crop.
        pairs: the pairs of a clip that this is of.
        source_sha256: of whose flow it is, where that is not the set's own.
    """

    change: Callable
    pairs: slice = field(default_factory=lambda: slice(None))
    source_sha256: str | None = None

    def flow(self, position):
        """Return the flow of a video's clips."""
        return self.change(self.prepared, position)

    def frame_pairs(self, position):
        """Return the frames that each flow is from and to."""
        firsts, seconds = self.prepared.frame_pairs(position)
        return firsts[:, self.pairs], seconds[:, self.pairs]

    def sha256(self):
        """Return what tells these features from those of the set, and of other flow."""
        own = super().sha256()
        return own if self.source_sha256 is None else f"{own}-{self.source_sha256}"


@dataclass(frozen=True)
class ClipVariant(_Variant):
    """A prepared set whose crops are others, with their flow; else as `FlowVariant`.

    Attributes:
        source: the `FlowSource` of their flow.
        change: from (set, position) to crops uint8 `[N, n + 1, S, S, 3]`.
    """

    source: FlowSource
    change: Callable
    _latest: dict = field(default_factory=dict, compare=False, repr=False)

    def flow(self, position):
        """Return the flow of a video's clips."""
        return np.stack([self.source.flow(clip) for clip in self._crops(position)])

    def frame_pairs(self, position):
        """Return the frames that each flow is from and to."""
        clips = self._crops(position)
        return clips[:, :-1], clips[:, 1:]

    def _crops(self, position):
        """Return the changed crops of a video; the latest are kept, for both of the above ask for them."""
        if position not in self._latest:
            self._latest.clear()
            self._latest[position] = self.change(self.prepared, position)
        return self._latest[position]

    def sha256(self):
        """Return what tells these features from those of the set, and of other flow."""
        return f"{super().sha256()}-{self.source.sha256}"


def without_surround(flow):
    """Return flow `[..., h, w, 2]` less the mean motion of its rim: the camera's, where a face fills it."""
    flow = flow.astype(np.float32)
    side = flow.shape[-2]
    rim = np.ones((side, side), bool)
    width = round(_SURROUND_SHARE * side)
    rim[width:-width, width:-width] = False
    return flow - flow[..., rim, :].mean(axis=-2)[..., None, None, :]


def a_quarter(flow):
    """Return a quarter of a flow: an image shows it as it would the flow at four times its range."""
    return flow / 4


def in_px_of(crop_size, own_size):
    """Return what shows the flow of crops of `own_size` as the same share of crops of another size."""

    def in_px(flow):
        return flow * np.float16(crop_size / own_size)

    return in_px


def compressed_again(crf):
    """Return what puts crops through H.264 once more.

    Args:
        crf: constant rate factor, 0 to 51; higher is coarser. It acts on the crop as it was enlarged or
            shrunk, so a small face loses less by it than it would in its file.

    Returns:
        function of (`PreparedSet`, position) to crops uint8 `[clips, T / 2 + 1, S, S, 3]`, the first half of
        each clip: flow is dear.
    """

    def change(prepared, position):
        frames = prepared.clips(position)[:, : prepared.pairs_per_clip // 2 + 1]
        return np.stack([recompressed(clip, crf) for clip in frames])

    return change
