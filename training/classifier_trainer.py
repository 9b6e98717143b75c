"""Fit the trained part of the classifier on cached features of its frozen part."""

from dataclasses import dataclass

import keras
import numpy as np

from flowtell.training.models import ClassifierConfig, build_classifier, load_imagenet_weights

__all__ = ["ClassifierTraining", "fit_classifier", "new_classifier", "pair_logits"]


@dataclass(frozen=True)
class ClassifierTraining:
    """Settings of one fit of the classifier.

    Attributes:
        head_units: widths of the dense layers.
        preprocessing: see `ClassifierConfig`.
        encoding: of the flow image.
        head_epochs: passes in which the head alone is fitted, so that a random head does not tear block 5.
        head_learning_rate: of Adam in those.
        epochs: passes in which block 5 and the head are fitted together.
        batch_size: flow images a step.
        learning_rate: of Adam in those.
        label_smoothing: moves the targets from 0 and 1 by half of this.
        seed: of weights, order and dropout.
    """

    head_units: tuple[int, ...] = (512, 512)
    preprocessing: str = "imagenet"
    encoding: str = "colour_wheel"
    head_epochs: int = 10
    head_learning_rate: float = 1e-4
    epochs: int = 1
    batch_size: int = 64
    learning_rate: float = 1e-5
    label_smoothing: float = 0.1
    seed: int = 0


class _Fit(keras.Model):
    """A part of a classifier, in the form that `fit` wants."""

    def __init__(self, judge, parts):
        super().__init__(name="fit")
        self.judge, self.parts = judge, parts

    def call(self, inputs, training=False):
        return self.judge(inputs, training=training)


def new_classifier(settings, imagenet_path):
    """Build a classifier with ImageNet's convolutions and a fresh head.

    Args:
        settings: a `ClassifierTraining`.
        imagenet_path: VGG16's weights without the top.

    Raises:
        FileNotFoundError, ValueError: as `load_imagenet_weights`.
    """
    keras.utils.set_random_seed(settings.seed)
    config = ClassifierConfig(head_units=settings.head_units, preprocessing=settings.preprocessing)
    classifier = build_classifier(config)
    load_imagenet_weights(classifier, imagenet_path)
    return classifier


def fit_classifier(classifier, features, labels, settings):
    """Fit block 5 and the head to features of flow images, both classes counting alike.

    Args:
        classifier: from `new_classifier`; changed in place.
        features: float16 `[N, h, w, C]` from `frozen_features`.
        labels: `[N]`, 1 fake, 0 real.
        settings: a `ClassifierTraining`.

    Returns:
        list of the training loss of each epoch.

    Raises:
        ValueError: if only one class is there.
    """
    labels = np.asarray(labels)
    if len(np.unique(labels)) < 2:
        raise ValueError("training needs both real and fake examples")
    keras.utils.set_random_seed(settings.seed)
    share = labels.mean()
    weights = np.where(labels == 1, 0.5 / share, 0.5 / (1 - share)).astype(np.float32)
    head = [*classifier.hidden, classifier.logit]
    flat = _in_batches(classifier.flat_features, features)
    # In units of ImageNet's activations one step of Adam would move a hidden unit by more than its whole
    # range.
    rms = float(np.sqrt(np.mean(np.square(flat))))
    _scale_outputs(classifier.blocks[-1].convs[-1], 1 / rms)
    flat = (flat / rms).astype(np.float16)
    phases = (
        (_Fit(classifier.judge_flat, head), flat, settings.head_epochs, settings.head_learning_rate),
        (_Fit(classifier.judge_features, [classifier]), features, settings.epochs, settings.learning_rate),
    )
    losses = []
    for model, inputs, epochs, learning_rate in phases:
        model.compile(
            optimizer=keras.optimizers.Adam(learning_rate),
            loss=keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=settings.label_smoothing),
        )
        batches = _FeatureBatches(inputs, labels, weights, settings)
        losses += (
            model.fit(batches, epochs=epochs, verbose=0, shuffle=False).history["loss"] if epochs else []
        )
    return [float(loss) for loss in losses]


def _scale_outputs(conv, factor):
    """Scale what a convolution with ReLU gives, and so what pooling makes of it: both are homogeneous."""
    for variable in (conv.kernel, conv.bias):
        variable.assign(variable * factor)


def pair_logits(classifier, features):
    """Return logits, float32 `[N]`, of features `[N, h, w, C]`."""
    return _in_batches(classifier.judge_features, features)


def _in_batches(function, features, batch_size=64):
    return np.concatenate(
        [
            keras.ops.convert_to_numpy(function(features[i : i + batch_size].astype(np.float32)))
            for i in range(0, len(features), batch_size)
        ]
    )


class _FeatureBatches(keras.utils.PyDataset):
    """Batches in a new order each epoch, widened from float16 only as they are used."""

    def __init__(self, features, labels, weights, settings):
        super().__init__()
        self.features, self.labels, self.weights = features, labels, weights
        self.batch_size = settings.batch_size
        self.rng = np.random.default_rng(settings.seed)
        self.order = self.rng.permutation(len(labels))

    def __len__(self):
        return -(-len(self.labels) // self.batch_size)

    def __getitem__(self, index):
        picked = np.sort(self.order[index * self.batch_size : (index + 1) * self.batch_size])
        return (
            self.features[picked].astype(np.float32),
            self.labels[picked].astype(np.float32),
            self.weights[picked],
        )

    def on_epoch_end(self):
        self.order = self.rng.permutation(len(self.labels))
