"""Flow of a prepared set's clips that another network than the set's own saw, kept beside the set."""

import json
from pathlib import Path

import numpy as np

from flowtell.training.flow_variants import FlowVariant
from flowtell.training.run_folder import SETTINGS_NAME, claim, whole_file

__all__ = ["has_stored_flow", "stored_flow_path", "stored_flow_variant", "write_stored_flow"]


def write_stored_flow(prepared, folder, network_sha256, flow_of_clip, pair_stride, progress=None):
    """Write the flow of a set's clips, for `stored_flow_variant`; what is there is not computed again.

    Args:
        prepared: a `PreparedSet` with crops of S px.
        folder: of the files, see `stored_flow_path`; made if need be. Each holds float16
            `[clips, pairs, S/4, S/4, 2]` in px of the crop.
        network_sha256: of the weights of whoever computes it.
        flow_of_clip: from the first and the second frames of n pairs, each uint8 `[n, S, S, 3]` RGB, to their
            flow `[n, S/4, S/4, 2]` in px.
        pair_stride: every so manieth pair of a clip.
        progress: called with (videos done, a note).

    Raises:
        InputError: the folder holds flow of other clips, or of another or an unknown network.
    """
    folder = Path(folder)
    claim(folder, _claimed(prepared, network_sha256, pair_stride), "*.npy")
    for position, number in enumerate(prepared.numbers):
        path = stored_flow_path(folder, number)
        if not path.exists():
            clips = prepared.clips(position)
            flows = [flow_of_clip(c[:-1:pair_stride], c[1::pair_stride]) for c in clips]
            with whole_file(path) as scratch:
                np.save(scratch, np.stack(flows).astype(np.float16))
        if progress is not None:
            progress(position + 1, "flow")


def has_stored_flow(prepared, folder):
    """Tell whether `write_stored_flow` has finished for a set."""
    files = (stored_flow_path(folder, number) for number in prepared.numbers)
    return all(path.is_file() for path in (Path(folder) / SETTINGS_NAME, *files))


def stored_flow_variant(prepared, folder, name, pair_stride):
    """Return the `FlowVariant` of a set whose flow `write_stored_flow` has written.

    Args:
        prepared: the `PreparedSet`.
        folder: that it wrote to.
        name: of the variant.
        pair_stride: as it was told.

    Raises:
        InputError: the folder holds flow of other clips.
    """
    network_sha256 = json.loads((Path(folder) / SETTINGS_NAME).read_text("utf-8"))["network_sha256"]
    claim(folder, _claimed(prepared, network_sha256, pair_stride))

    def change(of_set, position):
        return np.load(stored_flow_path(folder, of_set.numbers[position]), allow_pickle=False)

    return FlowVariant(prepared, name, change, slice(None, None, pair_stride), network_sha256)


def _claimed(prepared, network_sha256, pair_stride):
    of = {"clips_sha256": prepared.clips_sha256(), "network_sha256": network_sha256}
    return of | {"pair_stride": pair_stride}


def stored_flow_path(folder, number):
    """Return where the flow of the video of that number in its set lies."""
    return Path(folder) / f"{number:05d}.npy"
