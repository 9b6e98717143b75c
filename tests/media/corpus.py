"""Makes the corpus of hostile media files, the same bytes each time: `make_corpus(folder)`.

Nothing in it was taken from anywhere: every file is made from the bundled sample, from generated pictures, or
from plain bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from media import impostors, lies, oddities
from media.mutate import flip_bits, mutate
from media.seeds import CODECS, CONTAINERS, Image, face_frames, write_seed

__all__ = ["Hostile", "make_corpus"]

FRAMES, SIDE_PX = 40, 240
"""Two clips and a half of a face of about 115 px."""

FAMILIES = ("whole", "cut", "flipped", "mutated", "lying", "impostor", "playlist", "place", "name", "oddity")
ANY_STATE = frozenset(
    ("ok", "no_face", "face_too_small", "too_short", "undecodable", "truncated", "too_large", "timed_out")
)
REFUSED = frozenset(("undecodable", "too_large", "timed_out"))


@dataclass(frozen=True)
class Hostile:
    """One file of the corpus and what may become of it.

    Attributes:
        family: what is wrong with it.
        path: where it lies; need not exist, need not be a file.
        states: the states that it may get.
        verdict: whether a verdict on it is right.
        original: the whole file that it is the beginning of; its frames must be the first ones of that.
    """

    family: str
    path: Path
    states: frozenset[str]
    verdict: bool
    original: Path | None = None


def make_corpus(folder: Path, families: Collection[str] = FAMILIES) -> list[Hostile]:
    """Write these families of files below `folder`; return them in order of family and name."""
    seeds_folder = folder / "whole"
    seeds_folder.mkdir(parents=True)
    frames = face_frames(FRAMES, SIDE_PX)
    seeds = [write_seed(recipe, seeds_folder, frames) for recipe in CONTAINERS]
    mp4 = next(seed for seed in seeds if seed.suffix == ".mp4")
    makers: dict[str, Callable[[Path], Iterable[Hostile]]] = {
        "whole": lambda _: [Hostile("whole", seed, frozenset(("ok",)), True) for seed in seeds],
        "cut": lambda place: _cuts(place, seeds),
        "flipped": lambda place: _flips(place, seeds),
        "mutated": lambda place: _mutants(place, seeds, frames),
        "lying": lambda place: [
            Hostile("lying", path, ANY_STATE, True) for path in lies.write_lies(place, mp4)
        ],
        "impostor": lambda place: _refused(place, impostors.write_impostors(place, mp4)),
        "playlist": lambda place: _refused(place, impostors.write_playlists(place, mp4)),
        "place": lambda place: _refused(place, impostors.make_places(place, mp4)),
        "name": lambda place: [
            Hostile("name", path, frozenset(("ok",)), True) for path in impostors.write_names(place, mp4)
        ],
        "oddity": lambda place: [
            Hostile("oddity", path, states, "ok" in states)
            for path, states in oddities.write_oddities(place, frames)
        ],
    }
    return [
        hostile for family in FAMILIES if family in families for hostile in makers[family](folder / family)
    ]


def _refused(folder: Path, paths: list[Path]) -> list[Hostile]:
    return [Hostile(folder.name, path, REFUSED, False) for path in paths]


def _cuts(folder: Path, seeds: list[Path]) -> Iterator[Hostile]:
    """Yield the beginnings of each file, as long as every power of two that is shorter than it."""
    for seed in seeds:
        data = seed.read_bytes()
        for power in range(len(data).bit_length()):
            if 1 << power < len(data):
                path = _write(folder / f"{seed.stem}-{1 << power}{seed.suffix}", data[: 1 << power])
                yield Hostile("cut", path, ANY_STATE, True, seed)


def _flips(folder: Path, seeds: list[Path]) -> Iterator[Hostile]:
    for index, seed in enumerate(seeds):
        for power in range(0, 11, 2):
            data = bytearray(seed.read_bytes())
            flip_bits(data, 1 << power, np.random.default_rng([1, index, power]))
            path = _write(folder / f"{seed.stem}-{1 << power}{seed.suffix}", bytes(data))
            yield Hostile("flipped", path, ANY_STATE, True)


def _mutants(folder: Path, seeds: list[Path], frames: list[Image]) -> Iterator[Hostile]:
    seeds = seeds + [write_seed(recipe, seeds[0].parent, frames[:8]) for recipe in CODECS]
    contents = [seed.read_bytes() for seed in seeds]
    for number in range(75):
        seed = seeds[number % len(seeds)]
        data = mutate(seed.read_bytes(), contents, np.random.default_rng([2, number]))
        yield Hostile(
            "mutated", _write(folder / f"{number:02}-{seed.stem}{seed.suffix}", data), ANY_STATE, True
        )


def _write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
