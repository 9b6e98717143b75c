"""The record format of the original method, both ways.

A TFRecord file of examples with four features: ``image`` (the bytes of a float32 ``[height, width, 3]``
array, RGB, C order, little-endian), ``label``, ``height`` and ``width`` (int64). The notebooks of the
original method have three traps, which nothing here repeats:

* They read a label as ``tf.one_hot(label, 1)``, which is 1 for label 0 and 0 for label 1: their network gives
  the probability of *label 0*. Here a label is what the file says, and `one_hot_target` says what the
  original's network was taught. `flowtell.training.keras2_weights` turns such a network round.
* They split files as ``[0 : 0.8 n]``, ``[0.8 n : 0.9 n]`` and ``[0.9 n : -1]``: the last file is in no split.
* They split frames: those of one person fall in training and test alike. `flowtell.training.splits` splits
  people.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from flowtell import InputError
from flowtell.training.run_folder import whole_file

__all__ = ["OriginalRecord", "one_hot_target", "read_records", "write_records"]

_FEATURES = {
    "image": tf.io.FixedLenFeature([], tf.string),
    "label": tf.io.FixedLenFeature([], tf.int64),
    "height": tf.io.FixedLenFeature([], tf.int64),
    "width": tf.io.FixedLenFeature([], tf.int64),
}
# Sides beyond this are a header that was misread, not a flow image.
_MAX_SIDE_PX = 8192


@dataclass(frozen=True, eq=False)
class OriginalRecord:
    """One flow image and its label.

    Attributes:
        image: float32 `[H, W, 3]` RGB in [0, 255].
        label: what the file says; which of the classes it stands for is known to who wrote it.
    """

    image: np.ndarray
    label: int


def one_hot_target(label):
    """Return what ``tf.one_hot(label, 1)`` gives for a label of 0 or 1: the original's training target."""
    return float(label == 0)


def write_records(records: Iterable[OriginalRecord], path: Path) -> int:
    """Write records in the original's format; the file appears whole or not at all.

    Returns:
        how many were written.

    Raises:
        InputError: an image is not ``[H, W, 3]``.
    """
    count = 0
    with whole_file(path) as scratch, tf.io.TFRecordWriter(str(scratch)) as writer:
        for record in records:
            image = np.ascontiguousarray(record.image, "<f4")
            if image.ndim != 3 or image.shape[2] != 3:
                raise InputError(f"a record's image is [H, W, 3], not {list(image.shape)}")
            height, width = image.shape[:2]
            features = {
                "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image.tobytes()])),
                **{
                    name: tf.train.Feature(int64_list=tf.train.Int64List(value=[number]))
                    for name, number in (("label", record.label), ("height", height), ("width", width))
                },
            }
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())
            count += 1
    return count


def read_records(path: Path, size_px: int | None = 120) -> Iterator[OriginalRecord]:
    """Yield the records of a file in the original's format.

    Args:
        path: of the file.
        size_px: side that images are resized to as the original does on reading (bilinear, pixel centres at
            half-integers, not antialiased); None leaves their size.

    Raises:
        InputError: there is no such file, it is cut short or corrupt, or a record is not in this format.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no record file '{path}'")
    try:
        for number, data in enumerate(tf.data.TFRecordDataset(str(path))):
            yield _record(path, number, data, size_px)
    except tf.errors.DataLossError as error:
        raise InputError(f"'{path}' is cut short or corrupt: write it again") from error


def _record(path, number, data, size_px):
    try:
        parsed = {k: v.numpy() for k, v in tf.io.parse_single_example(data, _FEATURES).items()}
    except tf.errors.InvalidArgumentError as error:
        raise InputError(
            f"record {number} of '{path}' lacks one of {', '.join(_FEATURES)}: it is in another format"
        ) from error
    height, width = int(parsed["height"]), int(parsed["width"])
    fits = 0 < height <= _MAX_SIDE_PX and 0 < width <= _MAX_SIDE_PX
    if not fits or len(parsed["image"]) != 4 * 3 * height * width:
        raise InputError(
            f"record {number} of '{path}' states {width}x{height} px and holds {len(parsed['image'])} bytes: "
            "an image is float32, three channels"
        )
    image = np.frombuffer(parsed["image"], "<f4").reshape(height, width, 3)
    if size_px is not None:
        image = tf.image.resize(image, (size_px, size_px)).numpy()
    return OriginalRecord(image, int(parsed["label"]))
