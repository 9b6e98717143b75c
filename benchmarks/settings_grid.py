"""What there is to choose in running a detector: provider, precision, threads, clips a call, pairs a clip."""

from dataclasses import dataclass
from itertools import product

from flowtell import InputError
from flowtell._providers import computes_in

__all__ = ["CLIPS_PER_CALL", "Grid", "Point", "grid_of"]

CLIPS_PER_CALL = (1, 2, 4, 8)
"""Eight clips of 16 pairs at 256 px take 1.6 GB on a CPU: more are a server's business, asked for by name."""


@dataclass(frozen=True)
class Point:
    """One way to run a detector.

    Attributes:
        provider: `cpu`, `openvino`, `cuda` or `tensorrt`.
        precision: `fp32`, `fp16`, `bf16` or `int8`.
        threads: how many compute at the same time.
        clips_per_call: how many face clips share a call at most.
        pairs: T of the clips that it is measured with.
    """

    provider: str
    precision: str
    threads: int
    clips_per_call: int
    pairs: int

    def __str__(self):
        """Return it in a few words."""
        return (
            f"{self.provider} {self.precision}, threads {self.threads}, clips a call {self.clips_per_call}, "
            f"pairs a clip {self.pairs}"
        )


@dataclass(frozen=True)
class Grid:
    """Every combination of some values of each setting; attributes as of `Point`, tuples of values."""

    providers: tuple
    precisions: tuple
    threads: tuple
    clips_per_call: tuple
    pairs: tuple

    def points(self):
        """Return a list of every `Point` that some machine could run, the last setting running fastest."""
        others = list(product(self.threads, self.clips_per_call, self.pairs))
        return [Point(*way, *values) for way in self.ways() for values in others]

    def ways(self):
        """Return `(provider, precision)` of each of its providers and what it computes in on some machine."""
        return [way for way in product(self.providers, self.precisions) if computes_in(*way)]


def grid_of(bundle, pairs=None):
    """Return the `Grid` of everything that a bundle can be run with on this machine.

    Args:
        bundle: a `flowtell.Bundle`.
        pairs: T of the clips; None for the bundle's own.

    Raises:
        flowtell.InputError: where the bundle has no detector.
    """
    from flowtell._providers import usable_providers
    from flowtell._usable_cores import usable_cores

    if "detector" not in bundle.manifest.graphs:
        raise InputError(f"the bundle '{bundle.manifest.name}' has no detector whose speed could be measured")
    cores = usable_cores()
    threads = tuple(sorted({1, max(1, cores // 2), cores}))
    return Grid(
        tuple(provider.name for provider in usable_providers()),
        tuple(bundle.manifest.graphs["detector"]),
        threads,
        CLIPS_PER_CALL,
        (pairs or bundle.manifest.pairs_per_clip,),
    )
