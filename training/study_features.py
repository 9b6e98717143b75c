"""What frozen VGG16 blocks make of the flow of a prepared set, as the recipe has it and otherwise."""

from dataclasses import replace
from functools import cached_property

import numpy as np

from flowtell.training.feature_cache import FeatureCache
from flowtell.training.flow_variants import ClipVariant, a_quarter, compressed_again
from flowtell.training.judge_task import new_classifier
from flowtell.training.linear_judge import clip_features

__all__ = ["StudyFeatures"]


class StudyFeatures:
    """Features of one set and of its variants, cached in the folder of a run.

    Args:
        chosen: the recipe's `ClassifierSettings`.
        prepared: a `PreparedSet` with flow.
        folder: of the run.
        imagenet: path of VGG16's weights.
    """

    def __init__(self, chosen, prepared, folder, imagenet):
        self.chosen, self.prepared, self.folder, self.imagenet = chosen, prepared, folder, imagenet
        self._of_images = {}

    def classifier(self, **changes):
        """Return a `FlowClassifier` of the chosen settings but for some."""
        return new_classifier(replace(self.chosen, **changes), self.imagenet)

    def cache(self, name, source=None, shown=None, **changes):
        """Return the `FeatureCache` of a variant, of the set itself unless told otherwise.

        Args:
            name: of the variant; that of the flow image goes before it.
            source: the variant.
            shown: see `FeatureCache`.
            changes: of the chosen settings.
        """
        settings = replace(self.chosen, **changes)
        source, classifier = source or self.prepared, self.classifier(**changes)
        return FeatureCache(
            self.cache_folder(f"{settings.encoding}-{name}"),
            source,
            classifier,
            settings.encoding,
            settings.pair_stride,
            shown,
        )

    def cache_folder(self, name):
        """Return where the features of that name lie."""
        return self.folder / f"features-{name}"

    def of(self, cache, mirror=True, pairs=slice(None), **changes):
        """Return position to features `[clips, D]` of what a `FeatureCache`, or a function like it, gives."""
        classifier = self.classifier(**changes)
        positions = range(len(self.prepared.videos))
        return {p: clip_features(classifier, cache(p)[:, pairs], mirror) for p in positions}

    def of_shorter_clips(self, pairs):
        """Return the recipe's own features of clips cut again into pieces of so many judged pairs."""
        cache = self.own_cache()

        def shorter(position):
            of_clips = cache(position)
            return of_clips.reshape(-1, pairs, *of_clips.shape[2:])

        return self.of(shorter)

    def own_cache(self):
        """Return the cache that the recipe itself uses."""
        return self.cache(str(self.chosen.input_size))

    @property
    def own_folder(self):
        """Where these features lie."""
        return self.cache_folder(f"{self.chosen.encoding}-{self.chosen.input_size}")

    @cached_property
    def own(self):
        """What the recipe's own heads are fitted to, position to features `[clips, D]`."""
        return self.of(self.own_cache())

    @cached_property
    def pooled(self):
        """The same as means over the map."""
        channels = self.classifier().blocks[-1].convs[-1].filters
        return {p: f.reshape(len(f), -1, channels).mean(axis=1) for p, f in self.own.items()}

    @cached_property
    def halves_apart(self):
        """The same with both halves of the face weighed apart."""
        return self.of(self.own_cache(), mirror=False)

    @cached_property
    def five_blocks(self):
        """The same after VGG16's fifth block, too."""
        return self.of(self.own_cache(), blocks=5)

    @cached_property
    def other_range(self):
        """The same with u and v shown at four times their range."""
        return self.of(self.shown("a_quarter", a_quarter))

    def of_image(self, encoding):
        """Return the same of another flow image, which several factors look at."""
        if encoding not in self._of_images:
            cache = self.cache(str(self.chosen.input_size), encoding=encoding)
            self._of_images[encoding] = self.of(cache)
        return self._of_images[encoding]

    def of_input(self, size_px):
        """Return the same of flow images that were resized to another side."""
        return self.of(self.cache(str(size_px), input_size=size_px), input_size=size_px)

    def of_all_pairs(self, variant):
        """Return features of a variant of the set, all pairs of it."""
        return self.of(self.cache(variant.name, variant, pair_stride=1))

    def compressed(self, crf, source):
        """Return features of the clips' first halves compressed again, with the flow of a `FlowSource`."""
        variant = ClipVariant(self.prepared, f"compressed-CRF-{crf}", source, compressed_again(crf))
        return self.of_all_pairs(variant)

    def with_copies(self, own, crfs, source):
        """Return `own`, position to features `[clips, D]`, with those of the clips compressed again."""
        copies = [self.compressed(crf, source) for crf in crfs]
        return {p: np.concatenate([f, *(copy[p] for copy in copies)]) for p, f in own.items()}

    def shown(self, name, change):
        """Return the cache of the set with its flow shown in another way; see `FeatureCache`."""
        return self.cache(name, shown=(name, change))
