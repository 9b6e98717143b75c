"""Face clips and their flow as TFRecord examples: one shard a video, one example a clip.

Features of a clip: ``frames`` (bytes of uint8 ``shape`` = [T+1, S, S, 3], RGB), ``video``, ``identities``,
``method``, ``compression`` (UTF-8), ``label`` (1 fake, 0 real), ``track``, ``box`` (x, y, width, height in px
of the upright frame) and ``times_us`` (presentation time of the first and the last frame, in microseconds).
Features of a clip's flow: ``flow`` (bytes of little-endian float16 ``shape`` = [T, S/4, S/4, 2], (u, v) in px
of the crop, frame t to t+1). The order of both shards of a video is that of its clips in the index.
"""

import numpy as np
import tensorflow as tf

from flowtell import InputError
from flowtell.training.run_folder import whole_file

__all__ = ["read_arrays", "write_clips", "write_flow"]

_KINDS = {"frames": np.dtype("u1"), "flow": np.dtype("<f2")}


def write_clips(path, clips, facts):
    """Write the shard of a video; it appears whole or not at all.

    Args:
        path: of the shard.
        clips: `flowtell.FaceClip`s of full length.
        facts: dict of `video`, `identities`, `method`, `compression` and `label`.
    """
    shared = {
        "video": _texts([facts["video"]]),
        "identities": _texts(facts["identities"]),
        "method": _texts([facts["method"]]),
        "compression": _texts([facts["compression"]]),
        "label": _integers([facts["label"]]),
    }
    _write(
        path,
        (
            shared
            | _array("frames", clip.frames)
            | {
                "track": _integers([clip.track]),
                "box": _integers(clip.box),
                "times_us": _integers(round(1e6 * t) for t in (clip.start_s, clip.end_s)),
            }
            for clip in clips
        ),
    )


def write_flow(path, flows):
    """Write the flow of a video's clips, float `[T, S/4, S/4, 2]` each; the shard appears whole or not."""
    _write(path, (_array("flow", flow) for flow in flows))


def read_arrays(path, name):
    """Return the arrays of a shard, one a clip, stacked.

    Args:
        path: of the shard.
        name: `frames` or `flow`.

    Returns:
        uint8 `[N, T+1, S, S, 3]` or float16 `[N, T, S/4, S/4, 2]`.

    Raises:
        InputError: the shard is missing, cut short, corrupt or of another format.
    """
    if not path.is_file():
        raise InputError(f"there is no shard '{path}': run flowtell prepare again")
    features = {
        name: tf.io.FixedLenFeature([], tf.string),
        "shape": tf.io.FixedLenSequenceFeature([], tf.int64, allow_missing=True),
    }
    arrays = []
    try:
        for data in tf.data.TFRecordDataset(str(path)):
            parsed = tf.io.parse_single_example(data, features)
            array = np.frombuffer(parsed[name].numpy(), _KINDS[name])
            arrays.append(array.reshape(parsed["shape"].numpy()))
        return np.stack(arrays)
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError, ValueError) as error:
        raise InputError(f"the shard '{path}' is cut short or corrupt: run flowtell prepare again") from error


def _write(path, examples):
    try:
        with whole_file(path) as scratch, tf.io.TFRecordWriter(str(scratch)) as writer:
            for features in examples:
                example = tf.train.Example(features=tf.train.Features(feature=features))
                # A map of features has no order of its own; the same clips must give the same bytes.
                writer.write(example.SerializeToString(deterministic=True))
    except tf.errors.OpError as error:
        raise OSError(error.error_code, error.message.split(";")[-1].strip(), str(path)) from error


def _array(name, array):
    data = np.ascontiguousarray(array, _KINDS[name]).tobytes()
    return {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[data])),
        "shape": _integers(array.shape),
    }


def _texts(values):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[v.encode() for v in values]))


def _integers(values):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[int(v) for v in values]))
