"""What the frozen part of the classifier makes of a prepared set's flow, computed once and kept on disk."""

from pathlib import Path

import keras
import numpy as np

from flowtell.training.flow_features import feature_step, frozen_features, mirrored_flow
from flowtell.training.run_folder import claim, sweep, whole_file

__all__ = ["FeatureCache"]


class FeatureCache:
    """Frozen features of the pairs of a prepared set, one file a video, computed when first asked for.

    Args:
        folder: where the files lie; made if need be.
        prepared: a `PreparedSet` with flow.
        classifier: a `FlowClassifier`; its frozen blocks are what is cached.
        encoding: of the flow image.
        pair_stride: every so manieth pair of a clip.

    Raises:
        InputError: the folder holds other features, or the set has no flow.
    """

    def __init__(self, folder, prepared, classifier, encoding, pair_stride):
        self._folder, self._prepared, self._stride = Path(folder), prepared, pair_stride
        config = classifier.config
        claim(
            self._folder,
            {
                "prepared_sha256": prepared.sha256(),
                "encoding": encoding,
                "pair_stride": pair_stride,
                "preprocessing": config.preprocessing,
                "input_size": config.input_size,
                "width": config.width,
                # Enough to tell ImageNet's weights from random ones or others.
                "first_kernel_sum": float(np.abs(keras.ops.convert_to_numpy(_kernel(classifier))).sum()),
            },
        )
        sweep(self._folder)
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
            flow = self._prepared.flow(position)[:, :: self._stride]
            flat = flow.reshape(-1, *flow.shape[2:])
            features = frozen_features(self._step, mirrored_flow(flat) if mirrored else flat)
            with whole_file(path) as scratch:
                np.save(scratch, features.reshape(*flow.shape[:2], *features.shape[1:]))
        return np.load(path, allow_pickle=False)


def _kernel(classifier):
    return classifier.blocks[0].convs[0].kernel
