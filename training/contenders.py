"""What a detector must beat: scores of other ways to judge the same files.

The baseline is logistic regression on pooled ImageNet VGG16 features of OpenCV's DIS flow; the others look at
single frames (`mesonet`), or at nothing but the container.
"""

from itertools import pairwise

import av
import cv2
import numpy as np

from flowtell.training._spread import evenly_spread
from flowtell.training.flow_batches import quarter_size
from flowtell.training.flow_features import frozen_features, in_batches
from flowtell.training.mesonet import load_meso4

__all__ = [
    "dis_flow",
    "dis_of",
    "evenly",
    "frame_rate_scores",
    "interleaved",
    "meso4_scores",
    "pooled_dis_features",
]

_BATCH = 32


def evenly(clips, count):
    """Return (clip, pair) places, `count` of them at most, evenly spread over clips `[N, T+1, ...]`."""
    pairs = clips.shape[1] - 1
    return [divmod(int(k), pairs) for k in evenly_spread(len(clips) * pairs, count)]


def dis_flow(image1, image2):
    """Return the DIS flow averaged to a quarter size, float32 `[S/4, S/4, 2]` in px of the images.

    Args:
        image1: uint8 `[S, S, 3]` RGB, S a multiple of 4.
        image2: the same.
    """
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (image1, image2)]
    return quarter_size(cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(*grey, None))


def dis_of(prepared, position):
    """Return the DIS flow of a video's clips, float32 `[N, T, S/4, S/4, 2]`; see `dis_flow`."""
    return np.stack([[dis_flow(a, b) for a, b in pairwise(clip)] for clip in prepared.clips(position)])


def pooled_dis_features(prepared, position, classifier, step):
    """Return the baseline's features of the pairs of a video, float32 `[pairs, 512]`.

    They are means over the last map of VGG16. The median motion is removed from each flow, which is then
    shown as `uv`.

    Args:
        prepared: a `PreparedSet`.
        position: of the video.
        classifier: a `FlowClassifier` with ImageNet's weights.
        step: from `feature_step`, of that classifier and `uv`.
    """
    of_clips = dis_of(prepared, position)
    flow = of_clips.reshape(-1, *of_clips.shape[2:])
    flow = flow - np.median(flow, axis=(1, 2), keepdims=True)
    flat = in_batches(classifier.flat_features, (frozen_features(step, flow),), _BATCH, np.float32)
    channels = classifier.blocks[-1].convs[-1].filters
    return flat.reshape(len(flow), -1, channels).mean(axis=1)


def interleaved(length, count, draws):
    """Return `draws` ways to take `count` of `length` things, each evenly spread, list of int `[n]`.

    No two have anything in common where there are `draws * count` things; each takes all of fewer than
    `count`.
    """
    places = np.arange(draws * count) * length // (draws * count)
    return [np.unique(places[draw::draws]) for draw in range(draws)]


def meso4_scores(prepared, weights, pictures=48):
    """Return MesoNet's mean probability of *fake* of each video of a prepared set, float `[N]`.

    Args:
        prepared: a `PreparedSet` with crops of 256 px.
        weights: path of Meso4's weights.
        pictures: of a video at most, evenly spread.

    Raises:
        InputError: as `load_meso4`.
    """
    model = load_meso4(weights)
    scores = []
    for position in range(len(prepared.videos)):
        clips = prepared.clips(position)
        faces = np.stack([clips[c, k] for c, k in evenly(clips, pictures)]) / np.float32(255)
        real = in_batches(lambda x: model(x), (faces,), _BATCH, np.float32)
        scores.append(1 - float(real.mean()))
    return np.asarray(scores)


def frame_rate_scores(paths):
    """Return 1 for each file of more than 24 frames a second, else 0: what the container alone gives away."""
    scores = []
    for path in paths:
        with av.open(str(path)) as container:
            scores.append(float(container.streams.video[0].average_rate > 24))
    return np.asarray(scores)
