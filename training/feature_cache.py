"""What the frozen part of the classifier makes of a prepared set's flow, computed once and kept on disk."""

from pathlib import Path

import keras
import numpy as np

from flowtell.training.flow_features import feature_step, frozen_features, mirrored_motion
from flowtell.training.models import motion_channels, seen_motion
from flowtell.training.models.classifier import FROZEN_BLOCKS
from flowtell.training.models.flow_image import RESIDUAL_RANGE_LEVELS
from flowtell.training.run_folder import claim, sweep, whole_file

__all__ = ["FeatureCache"]


class FeatureCache:
    """Frozen features of the pairs of a prepared set, one file a video, computed when first asked for.

    Args:
        folder: where the files lie; made if need be.
        prepared: a `PreparedSet` with flow, or a variant of one.
        classifier: a `FlowClassifier`; its frozen blocks are what is cached.
        encoding: of the flow image.
        pair_stride: every so manieth pair of a clip.
        shown: (name, function from flow to what is shown of it), or None: u and v are shown as they are. The
            residual is of the flow as it is, whatever is shown.

    Raises:
        InputError: the folder holds other features, or the set has no flow.
    """

    def __init__(self, folder, prepared, classifier, encoding, pair_stride, shown=None):
        self._folder, self._prepared, self._stride = Path(folder), prepared, pair_stride
        config = classifier.config
        claim(
            self._folder,
            {
                "prepared_sha256": prepared.sha256(),
                "encoding": encoding,
                **_of_residual(encoding),
                **({"shown": shown[0]} if shown else {}),
                "pair_stride": pair_stride,
                "preprocessing": config.preprocessing,
                "input_size": config.input_size,
                "width": config.width,
                "computed_in": classifier.blocks[0].convs[0].compute_dtype,
                # Enough to tell ImageNet's weights from random ones, or from those that were trained further.
                "kernel_sums": _frozen_kernel_sums(classifier),
            },
        )
        sweep(self._folder)
        self._encoding, self._shown = encoding, shown
        self._step = feature_step(classifier, encoding)

    def __call__(self, position, mirrored=False):
        """Return the features of `prepared.videos[position]`, float16 `[clips, pairs, h, w, C]`.

        Args:
            position: of the video.
            mirrored: whether of the mirrored frames.

        Raises:
            InputError: the flow cannot be read.
        """
        number = self._prepared.numbers[position]
        path = self._folder / f"{number:05d}{'-mirrored' if mirrored else ''}.npy"
        if not path.exists():
            motion = self._motion(position)
            flat = motion.reshape(-1, *motion.shape[2:])
            features = frozen_features(self._step, mirrored_motion(flat) if mirrored else flat)
            with whole_file(path) as scratch:
                np.save(scratch, features.reshape(*motion.shape[:2], *features.shape[1:]))
        return np.load(path, allow_pickle=False)

    def _motion(self, position):
        """Return what an image shows of a video's pairs, float `[clips, pairs, S/4, S/4, C]`."""
        flow = self._prepared.flow(position)[:, :: self._stride]
        shown = self._shown[1](flow) if self._shown else flow
        if motion_channels(self._encoding) == 2:
            return shown
        pairs = self._prepared.frame_pairs(position)
        firsts, seconds = (frames[:, :: self._stride] for frames in pairs)
        motion = np.stack(
            [
                keras.ops.convert_to_numpy(seen_motion(self._encoding, *clip))
                for clip in zip(flow, firsts, seconds, strict=True)
            ]
        )
        motion[..., :2] = shown
        return motion


def _of_residual(encoding):
    return {"residual_range_levels": RESIDUAL_RANGE_LEVELS} if motion_channels(encoding) == 3 else {}


def _frozen_kernel_sums(classifier):
    kernels = [conv.kernel for block in classifier.blocks[:FROZEN_BLOCKS] for conv in block.convs]
    return [float(np.abs(keras.ops.convert_to_numpy(kernel)).sum(dtype=np.float64)) for kernel in kernels]
