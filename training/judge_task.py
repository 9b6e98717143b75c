"""The classifier and the cnn_lstm as tasks of the trainer, on cached features of what is frozen."""

import keras
import numpy as np
from keras import ops

from flowtell import InputError
from flowtell.training.feature_cache import FeatureCache
from flowtell.training.flow_features import in_batches
from flowtell.training.metrics import auc
from flowtell.training.models import (
    ClassifierConfig,
    build_classifier,
    build_clip_head,
    load_imagenet_weights,
)
from flowtell.training.settings import ClipLSTMSettings
from flowtell.training.trainer import infinite_order

__all__ = ["JudgeTask", "new_classifier", "scale_activations"]

_EVALUATION_BATCH = 32
# VGG16's blocks before the one that may be trained.
_FROZEN_BLOCKS = 4


def new_classifier(settings, imagenet=None):
    """Build a `FlowClassifier` of the settings, convolutions from ImageNet where a file is given.

    Args:
        settings: a `ClassifierSettings`.
        imagenet: path of VGG16's weights without the top; None for random ones.

    Raises:
        InputError: the file cannot be read, or holds no VGG16 of that width.
    """
    keras.utils.set_random_seed(settings.fit.seed)
    config = ClassifierConfig(
        settings.input_size,
        settings.head_units,
        settings.width,
        settings.preprocessing,
        settings.dropout,
        settings.blocks,
    )
    policy = "mixed_bfloat16" if settings.fit.mixed_precision else "float32"
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        classifier = build_classifier(config)
    finally:
        keras.config.set_dtype_policy(before)
    if imagenet is not None:
        try:
            load_imagenet_weights(classifier, imagenet)
        except (KeyError, OSError, ValueError) as error:
            raise InputError(
                f"'{imagenet}' holds no VGG16 weights of width {settings.width}: give Keras's file of VGG16 "
                f"without the top, whose width is 1 ({error})"
            ) from error
    return classifier


class _JudgeFit(keras.Model):
    """The trained part with its loss: from features of pairs `[B, ...]` or of clips `[B, T, ...]` to logits.

    Gives logits `[B]`, or `[B, 1 + T]` with a temporal head: the clip's, then its pairs'.
    """

    def __init__(self, classifier, clip_head, settings):
        super().__init__(name="judge_fit")
        self.classifier, self.clip_head = classifier, clip_head
        self.from_flat = settings.trained == "head"
        self.smoothing = settings.label_smoothing
        self.pair_weight = getattr(settings, "pair_loss_weight", 0.0)

    def call(self, x, training=False):
        pairs = x if self.clip_head is None else ops.reshape(x, (-1, *x.shape[2:]))
        flat = pairs if self.from_flat else self.classifier.flat_features(pairs)
        hidden = self.classifier.hidden_features(flat, training=training)
        logits = self.classifier.judge_hidden(hidden, training=training)
        if self.clip_head is None:
            return logits
        length = x.shape[1]
        by_clip = ops.reshape(hidden, (-1, length, hidden.shape[-1]))
        clip_logits = self.clip_head(ops.cast(by_clip, "float32"), training=training)
        return ops.concatenate([clip_logits[:, None], ops.reshape(logits, (-1, length))], axis=1)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        target = y * (1 - self.smoothing) + 0.5 * self.smoothing
        if self.clip_head is None:
            losses = _cross_entropy(y_pred, target)
        else:
            losses = _cross_entropy(y_pred[:, 0], target)
            of_pairs = ops.mean(_cross_entropy(y_pred[:, 1:], target[:, None]), axis=1)
            losses = losses + self.pair_weight * of_pairs
        return ops.mean(losses * sample_weight)


def _cross_entropy(logits, target):
    # max(x, 0) - x y + log(1 + exp(-|x|)) neither overflows nor loses digits.
    softplus = ops.log1p(ops.exp(-ops.abs(logits)))
    return ops.maximum(logits, 0.0) - logits * target + softplus


class JudgeTask:
    """A `Task` that fits a `FlowClassifier`, with a `ClipLSTM` where the settings have one.

    Args:
        settings: a `ClassifierSettings` or `ClipLSTMSettings`.
        prepared: a `PreparedSet` with flow.
        parts: dict of `train` and `validation` to positions in `prepared.videos`.
        cache: folder of the cached features.
        imagenet: see `new_classifier`.
        init: a `FlowClassifier` to start from instead; of the same configuration.

    Attributes:
        validated: positions that `validate` judges, of as many videos as `validation_steps` allows.

    Raises:
        InputError: the flow cannot be read, the cache holds other features, or as `new_classifier`.
        OSError: the cache cannot be written or read.
    """

    monitor, higher_is_better = "val_auc", True

    def __init__(self, settings, prepared, parts, cache, imagenet=None, init=None):
        self._settings, self._prepared = settings, prepared
        classifier = new_classifier(settings, imagenet)
        if init is not None:
            classifier.set_weights(init.get_weights())
        features = FeatureCache(cache, prepared, classifier, settings.encoding, settings.pair_stride)
        mirrors = (False, True) if settings.mirror else (False,)
        sources = {(p, m): features(p, m) for p in parts["train"] for m in mirrors}
        sources |= {(p, False): features(p) for p in parts["validation"]}
        divisor = 1.0
        if init is None:
            rms = scale_activations(
                classifier, [_flat(classifier, sources[p, False]) for p in parts["train"]]
            )
            # Four blocks end with the kernel that was scaled: what came out of it before is scaled here.
            divisor = rms if len(classifier.blocks) == _FROZEN_BLOCKS else 1.0
        for block in classifier.blocks[_FROZEN_BLOCKS:]:
            block.trainable = settings.trained == "block5"
        if settings.trained == "head":
            sources = {key: _flat(classifier, array, divisor) for key, array in sources.items()}
        self._sources = sources
        has_lstm = isinstance(settings, ClipLSTMSettings)
        clip_head = build_clip_head(settings.lstm, classifier.hidden_width) if has_lstm else None
        self._examples = [
            e for p in parts["train"] for m in mirrors for e in self._examples_of(p, m, has_lstm)
        ]
        self._share = float(np.mean([prepared.videos[e[0]].label for e in self._examples]))
        self.networks = {"classifier": classifier} | ({"clip_head": clip_head} if has_lstm else {})
        self.model = _JudgeFit(classifier, clip_head, settings)
        shape = self._array(self._examples[0]).shape
        self.model(keras.KerasTensor((1, *shape)))
        self.validated = self._within_limit(parts["validation"], has_lstm)

    def _within_limit(self, positions, whole_clips):
        """Return the first positions, up to the one with which `validation_steps` batches are full."""
        limit = self._settings.validation_steps
        budget = np.inf if limit is None else limit * self._settings.fit.batch_size
        taken = []
        for position in positions:
            if budget <= 0:
                break
            budget -= len(self._examples_of(position, False, whole_clips))
            taken.append(position)
        return taken

    def _examples_of(self, position, mirrored, whole_clips):
        clips, pairs = self._sources[position, mirrored].shape[:2]
        if whole_clips:
            return [(position, mirrored, (c,)) for c in range(clips)]
        return [(position, mirrored, (c, k)) for c in range(clips) for k in range(pairs)]

    def _array(self, example):
        position, mirrored, place = example
        return self._sources[position, mirrored][place]

    def batch(self, step):
        """Return (features, labels, weights) of a step."""
        settings = self._settings
        size = settings.fit.batch_size
        order = infinite_order(len(self._examples), settings.fit.seed, step * size, size)
        examples = [self._examples[k] for k in order]
        labels = np.asarray([self._prepared.videos[e[0]].label for e in examples], np.float32)
        share = self._share if settings.balance else 0.5
        weights = np.where(labels == 1, 0.5 / share, 0.5 / (1 - share)).astype(np.float32)
        return np.stack([self._array(e) for e in examples]).astype(np.float32), labels, weights

    def validate(self):
        """Return `val_loss` (a mean over what is judged) and `val_auc` (over files) of the validation part.

        What cannot be told, of an empty part or of one class only, is left out.
        """
        scores, losses, labels = [], [], []
        for position in self.validated:
            clip_logits, judged = self.judge(position)
            label = self._prepared.videos[position].label
            losses.append(np.mean(np.logaddexp(0, np.where(label, -judged, judged))))
            scores.append(np.mean(1 / (1 + np.exp(-clip_logits))))
            labels.append(label)
        figures = {"val_loss": float(np.mean(losses))} if losses else {}
        return figures | ({"val_auc": auc(scores, labels)} if len(set(labels)) == 2 else {})

    def judge(self, position):
        """Return (the logits of a video's clips, those that the loss is of), float32 arrays."""
        source = self._sources[position, False]
        clips, pairs = source.shape[:2]
        if self.model.clip_head is not None:
            logits = in_batches(self._predict, (source,), _EVALUATION_BATCH // 4, np.float32)
            return logits[:, 0], logits[:, 0]
        flat = source.reshape(clips * pairs, *source.shape[2:])
        logits = in_batches(self._predict, (flat,), _EVALUATION_BATCH, np.float32)
        return logits.reshape(clips, pairs).mean(1), logits

    def _predict(self, x):
        return self.model.predict_on_batch(x)


def scale_activations(classifier, features):
    """Bring what the head sees to unit scale: Adam's steps do not depend on scale, its range does.

    In units of ImageNet's activations one step would move a hidden unit by more than its whole range, and
    weights of a linear head would be too small for float16. A convolution with ReLU and pooling are
    homogeneous, so scaling kernel and bias scales what comes out.

    Args:
        classifier: a `FlowClassifier`; its last convolution is scaled.
        features: list of what its head sees, float `[..., D]`.

    Returns:
        what was divided by: features that came out of that convolution before must be divided by it, too.
    """
    rms = float(np.sqrt(np.mean([np.mean(np.square(f.astype(np.float32))) for f in features])))
    conv = classifier.blocks[-1].convs[-1]
    for variable in (conv.kernel, conv.bias):
        variable.assign(variable / rms)
    return rms


def _flat(classifier, features, divisor=1.0):
    """Return what the head sees over `divisor`, float16 `[clips, pairs, D]`, of `[clips, pairs, h, w, C]`."""
    pairs = features.reshape(-1, *features.shape[2:])
    flat = in_batches(
        lambda x: classifier.flat_features(x) / divisor, (pairs,), _EVALUATION_BATCH, np.float16
    )
    return flat.reshape(*features.shape[:2], -1)
