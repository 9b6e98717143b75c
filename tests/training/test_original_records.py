"""The original's record format: against a small script that reads and writes it as the notebooks do."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tolerances import TOLERANCES

from flowtell import InputError
from flowtell.training.original_records import OriginalRecord, one_hot_target, read_records, write_records

WRITER = """
import sys
import numpy as np
import tensorflow as tf

def feature(value):
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

images = np.load(sys.argv[1])
with tf.io.TFRecordWriter(sys.argv[2]) as writer:
    for k, image in enumerate(images):
        values = {"image": image.tobytes(), "label": k % 2, "height": image.shape[0], "width": image.shape[1]}
        features = tf.train.Features(feature={name: feature(value) for name, value in values.items()})
        example = tf.train.Example(features=features)
        writer.write(example.SerializeToString())
"""

READER = """
import sys
import numpy as np
import tensorflow as tf

def parse(record):
    keys = {"image": tf.io.FixedLenFeature([], tf.string)}
    keys |= {name: tf.io.FixedLenFeature([], tf.int64) for name in ("label", "height", "width")}
    parsed = tf.io.parse_single_example(record, keys)
    image = tf.reshape(tf.io.decode_raw(parsed["image"], tf.float32), (parsed["height"], parsed["width"], 3))
    return tf.image.resize(image, [120, 120]), tf.one_hot(parsed["label"], 1)

images, targets = zip(*tf.data.TFRecordDataset(sys.argv[1]).map(parse))
np.savez(sys.argv[2], images=np.stack(images), targets=np.stack(targets))
"""


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).uniform(0, 255, (3, 16, 24, 3)).astype(np.float32)


def run(program, *arguments):
    subprocess.run([sys.executable, "-c", program, *map(str, arguments)], check=True, capture_output=True)


def test_files_of_the_notebooks_are_read(tmp_path, images):
    np.save(tmp_path / "images.npy", images)
    run(WRITER, tmp_path / "images.npy", tmp_path / "theirs.tfrecord")
    records = list(read_records(tmp_path / "theirs.tfrecord", None))
    assert [r.label for r in records] == [0, 1, 0]
    assert all((r.image == image).all() for r, image in zip(records, images, strict=True))


def test_the_notebooks_read_ours(tmp_path, images):
    written = [OriginalRecord(image, k % 2) for k, image in enumerate(images)]
    assert write_records(written, tmp_path / "ours.tfrecord") == 3
    run(READER, tmp_path / "ours.tfrecord", tmp_path / "read.npz")
    with np.load(tmp_path / "read.npz") as read:
        ours = list(read_records(tmp_path / "ours.tfrecord", 120))
        assert np.array_equal(read["images"], np.stack([r.image for r in ours]))
        # The trap: what the original trains on is 1 for label 0.
        assert read["targets"].ravel().tolist() == [1, 0, 1] == [one_hot_target(r.label) for r in ours]


def test_the_original_split_loses_the_last_file():
    files = list(range(50))
    n = len(files)
    kept = files[: int(0.8 * n)] + files[int(0.8 * n) : int(0.9 * n)] + files[int(0.9 * n) : -1]
    assert kept == files[:-1]


def test_a_file_cut_short_is_one_sentence(tmp_path, images):
    path = tmp_path / "cut.tfrecord"
    write_records([OriginalRecord(image, 0) for image in images], path)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(InputError, match="cut short or corrupt: write it again"):
        list(read_records(path))


def test_other_records_are_refused(tmp_path):
    with pytest.raises(InputError, match="there is no record file"):
        list(read_records(tmp_path / "none.tfrecord"))
    path = tmp_path / "other.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(tf.train.Example().SerializeToString())
    with pytest.raises(InputError, match=r"record 0 of .* lacks one of image, label, height, width"):
        list(read_records(path))
    write_records([OriginalRecord(np.zeros((4, 4, 3), np.float32), 0)], path)
    data = path.read_bytes()
    example = tf.train.Example.FromString(next(iter(tf.data.TFRecordDataset(str(path)))).numpy())
    example.features.feature["height"].int64_list.value[0] = 5
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(example.SerializeToString())
    assert path.read_bytes() != data
    with pytest.raises(InputError, match=r"states 4x5 px and holds 192 bytes"):
        list(read_records(path))


def test_reading_enlarges_as_the_classifier_does(tmp_path, images):
    from flowtell.training.models.flow_image import BilinearResize

    path = tmp_path / "square.tfrecord"
    write_records([OriginalRecord(images[0][:16, :16], 0)], path)
    read = next(read_records(path, 120)).image
    ours = np.array(BilinearResize(120)(images[0][None, :16, :16]))[0]
    assert np.abs(read - ours).max() <= TOLERANCES["lossless_resize_levels"].value
