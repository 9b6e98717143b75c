"""The original's classifier files, written here in Keras 2's layout, against Keras's own VGG16."""

import h5py
import keras
import numpy as np
import pytest
from tolerances import TOLERANCES

from flowtell import InputError
from flowtell.training.keras2_weights import classifier_from_keras2

SIDE_PX = 32


@pytest.fixture(scope="module")
def network():
    """The original's Sequential, by Keras's own layers."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    vgg16 = keras.applications.VGG16(weights=None, include_top=False, input_shape=(SIDE_PX, SIDE_PX, 3))
    head = [layers.Dense(8, activation="relu"), layers.Dense(1, activation="sigmoid")]
    return keras.Sequential([keras.Input((SIDE_PX, SIDE_PX, 3)), vgg16, layers.Flatten(), *head])


def write(network, path, group_name="model_weights"):
    """Write what `model.save("cnn1.h5")` of Keras 2 writes: frozen weights after trained ones."""
    vgg16, _, *dense = network.layers
    convolutions = [layer for layer in vgg16.layers if layer.weights]
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = b'{"class_name": "Lambda", "config": "code that nobody runs"}'
        root = file.create_group(group_name) if group_name else file
        root.attrs["layer_names"] = [b"vgg16", b"flatten", b"dense", b"dense_1"]
        names = []
        for layer in [*convolutions[10:], *convolutions[:10]]:
            for weight in layer.weights:
                names.append(f"{layer.name}/{weight.name}:0".encode())
                root.create_dataset(f"vgg16/{names[-1].decode()}", data=np.asarray(weight))
        root["vgg16"].attrs["weight_names"] = names
        root.create_group("flatten").attrs["weight_names"] = np.array([], "S1")
        for name, layer in zip(("dense", "dense_1"), dense, strict=True):
            for weight in layer.weights:
                root.create_dataset(f"{name}/{name}/{weight.name}:0", data=np.asarray(weight))
            root[name].attrs["weight_names"] = [f"{name}/{k}:0".encode() for k in ("kernel", "bias")]
    return path


@pytest.fixture(scope="module")
def original_file(network, tmp_path_factory):
    return write(network, tmp_path_factory.mktemp("keras2") / "cnn1.h5")


@pytest.mark.parametrize(("fake_label", "one_hot", "is_turned"), [(0, True, 0), (1, True, 1), (1, False, 0)])
def test_it_judges_as_keras_does(fake_label, one_hot, is_turned, network, original_file):
    images = np.random.default_rng(0).uniform(0, 255, (3, SIDE_PX, SIDE_PX, 3)).astype(np.float32)
    stated = network.predict_on_batch(images)[:, 0]
    classifier = classifier_from_keras2(original_file, fake_label, one_hot=one_hot, input_size=SIDE_PX)
    ours = 1 / (1 + np.exp(-np.array(classifier(images))))
    want = 1 - stated if is_turned else stated
    assert np.abs(ours - want).max() <= TOLERANCES["batched_keras_logit"].value


def test_weights_alone_are_read_too(network, tmp_path):
    classifier_from_keras2(write(network, tmp_path / "w.h5", None), 0, input_size=SIDE_PX)


def test_another_input_size_is_named(original_file):
    with pytest.raises(InputError, match=r"dense1 wants \(4608, 8\), the file has \(512, 8\)"):
        classifier_from_keras2(original_file, 0)


def test_what_is_no_such_file_is_one_sentence(tmp_path):
    path = tmp_path / "x.h5"
    path.write_bytes(b"no HDF5")
    with pytest.raises(InputError, match="is no model that Keras 2 wrote"):
        classifier_from_keras2(path, 0)
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"dense"]
        file.create_group("dense").attrs["weight_names"] = [b"kernel:0"]
        file["dense"]["kernel:0"] = h5py.ExternalLink("elsewhere.h5", "/secret")
    with pytest.raises(InputError, match="links elsewhere at kernel:0"):
        classifier_from_keras2(path, 0)
