"""The original method's classifier files (`cnn1.h5`, `best_deepfake_model.h5`): their weights, nothing else.

Keras 2 wrote them as HDF5: a `Sequential` of a nested `vgg16`, a Flatten and dense layers. Only arrays are
read; the description of the model inside the file, which Keras would build layers from, is not looked at.

    python -m flowtell.training.keras2_weights cnn1.h5 --flow FLOW --fake-label 1 --out MODEL
"""

import argparse
import re
import sys
from pathlib import Path

import h5py
import numpy as np

from flowtell import FlowtellError, InputError
from flowtell.training.flow_source import load_flow_network
from flowtell.training.models import ClassifierConfig, JoinSettings, TrainedModels, build_classifier
from flowtell.training.models.model_folder import write_models

__all__ = ["classifier_from_keras2", "main"]

_CONVOLUTION = re.compile(r"(?:^|/)block(\d)_conv(\d)/(kernel|bias)(?::0)?$")


def classifier_from_keras2(path, fake_label, *, one_hot=True, input_size=120):
    """Build a `FlowClassifier` with the weights of a classifier of the original method.

    The original's network was taught `tf.one_hot(label, 1)`, so its output is the probability of *label 0*
    (see `flowtell.training.original_records`). Where that is not the fake label, the last layer's signs are
    turned, so that the logit is that of *fake*, as everywhere here.

    Args:
        path: of the HDF5 file, whole model or weights alone.
        fake_label: the label, 0 or 1, that fakes had in the records it was trained on.
        one_hot: whether it was taught `one_hot(label, 1)`; False: the label itself.
        input_size: side in px of the images it takes.

    Raises:
        InputError: the file cannot be read, links elsewhere, or holds no such network.
    """
    arrays = _read_arrays(Path(path))
    convolutions, dense = {}, {}
    for (layer, name), array in arrays.items():
        match = _CONVOLUTION.search(name)
        if match:
            convolutions[int(match[1]), int(match[2]), match[3]] = array
        elif name.split("/")[-1].removesuffix(":0") in ("kernel", "bias"):
            dense.setdefault(layer, {})[name.split("/")[-1].removesuffix(":0")] = array
    heads = [pair for pair in dense.values() if pair.keys() == {"kernel", "bias"}]
    if not heads or any(h["kernel"].ndim != 2 for h in heads) or heads[-1]["kernel"].shape[1] != 1:
        raise InputError(f"'{path}' holds no dense layers that end in one output: it is no such classifier")
    config = ClassifierConfig(
        input_size, tuple(h["kernel"].shape[1] for h in heads[:-1]), preprocessing="raw_rgb"
    )
    classifier = build_classifier(config)
    for number, block in enumerate(classifier.blocks, start=1):
        for index, conv in enumerate(block.convs, start=1):
            where = f"block{number}_conv{index}"
            _assign(path, where, conv, *(convolutions.get((number, index, k)) for k in ("kernel", "bias")))
    # The output is of label 0 where it was taught one_hot, of label 1 where it was not.
    sign = 1 if (0 if one_hot else 1) == fake_label else -1
    for layer, head in zip([*classifier.hidden, classifier.logit], heads, strict=True):
        factor = sign if layer is classifier.logit else 1
        _assign(path, layer.name, layer, factor * head["kernel"], factor * head["bias"])
    return classifier


def _assign(path, where, layer, kernel, bias):
    shapes = [None if a is None else a.shape for a in (kernel, bias)]
    wanted = [tuple(v.shape) for v in (layer.kernel, layer.bias)]
    if shapes != wanted:
        raise InputError(
            f"'{path}' does not fit: {where} wants {wanted[0]}, the file has {shapes[0]}; is the input size "
            "right?"
        )
    layer.set_weights([kernel, bias])


def _read_arrays(path):
    """Return (layer, weight name) to float32 array, layers in the order of the model."""
    try:
        with h5py.File(path, "r") as file:
            root = file.get("model_weights", file)
            return {
                (layer, name): _array(path, root[layer], name)
                for layer in _texts(root.attrs["layer_names"])
                for name in _texts(root[layer].attrs["weight_names"])
            }
    except (OSError, KeyError) as error:
        raise InputError(f"'{path}' is no model that Keras 2 wrote as HDF5: {error}") from error


def _texts(values):
    return [v.decode() if isinstance(v, bytes) else str(v) for v in values]


def _array(path, group, name):
    # A link or a dataset may point into any other file of this machine.
    node = group
    for part in name.split("/"):
        if not isinstance(node.get(part, getlink=True), h5py.HardLink):
            raise InputError(f"'{path}' links elsewhere at {name}: it is not read")
        node = node[part]
    if not isinstance(node, h5py.Dataset) or node.external or node.is_virtual:
        raise InputError(f"'{path}' keeps {name} elsewhere: it is not read")
    return np.asarray(node, np.float32)


def main(argv=None):
    """Write a model folder from a classifier of the original method and a flow network; return 0."""
    parser = argparse.ArgumentParser(
        prog="python -m flowtell.training.keras2_weights", description="Import an original classifier."
    )
    parser.add_argument("file", type=Path, metavar="FILE.h5")
    parser.add_argument(
        "--flow", type=Path, required=True, metavar="DIR", help="a flow network to join it to"
    )
    parser.add_argument("--fake-label", type=int, choices=(0, 1), required=True, help="label that fakes had")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the model folder")
    arguments = parser.parse_args(argv)
    try:
        classifier = classifier_from_keras2(arguments.file, arguments.fake_label)
        models = TrainedModels(
            load_flow_network(arguments.flow), classifier, JoinSettings("colour_wheel", 256)
        )
    except FlowtellError as error:
        parser.error(str(error))
    point = {"fake_probability": 0.5, "operating_point": "the original's: 0.5"}
    facts = {"name": arguments.file.stem, "licence": "not stated", "thresholds": [point]}
    terms = "Imported from a Keras 2 file; its terms are those of who trained it.\n"
    papers = {"MODEL_CARD.md": f"# {arguments.file.stem}\n\n{terms}", "LICENSE": terms, "NOTICE": terms}
    write_models(arguments.out, models, facts | {"training_data": [], "certificates": []}, papers)
    print(f"{arguments.out}: a model folder, for flowtell evaluate and flowtell export")
    return 0


if __name__ == "__main__":
    sys.exit(main())
