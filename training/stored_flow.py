"""Flow of a prepared set's clips that another network than the set's own saw, kept beside the set."""

from pathlib import Path

import numpy as np

from flowtell.training.run_folder import whole_file

__all__ = ["has_stored_flow", "stored_flow", "stored_flow_path", "write_stored_flow"]


def write_stored_flow(prepared, folder, flow_of_clip, pair_stride, progress=None):
    """Write the flow of a set's clips, for `stored_flow`; what is there is not computed again.

    Args:
        prepared: a `PreparedSet` with crops of S px.
        folder: of the files, see `stored_flow_path`; made if need be. Each holds float16
            `[clips, pairs, S/4, S/4, 2]` in px of the crop.
        flow_of_clip: from the first and the second frames of n pairs, each uint8 `[n, S, S, 3]` RGB, to their
            flow `[n, S/4, S/4, 2]` in px.
        pair_stride: every so manieth pair of a clip.
        progress: called with (videos done, a note).
    """
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
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
    return all(stored_flow_path(folder, number).is_file() for number in prepared.numbers)


def stored_flow(folder):
    """Return what reads the flow of the pairs that were computed: a change of a `FlowVariant` of these.

    Args:
        folder: that `write_stored_flow` wrote to.
    """

    def change(prepared, position):
        return np.load(stored_flow_path(folder, prepared.numbers[position]), allow_pickle=False)

    return change


def stored_flow_path(folder, number):
    """Return where the flow of the video of that number in its set lies."""
    return Path(folder) / f"{number:05d}.npy"
