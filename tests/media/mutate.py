"""Mutations of a file's bytes, each decided by a generator's seed alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

_EDGES = (
    0,
    1,
    2,
    7,
    8,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    (1 << 64) - 1,
)
"""Numbers at which lengths, counts and sizes go wrong."""


def mutate(data: bytes, others: Sequence[bytes], rng: np.random.Generator) -> bytes:
    """Return `data` with one to six mutations; `others` are files to take pieces from."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 7))):
        _MUTATIONS[int(rng.integers(len(_MUTATIONS)))](changed, others, rng)
    return bytes(changed)


def flip_bits(data: bytearray, count: int, rng: np.random.Generator) -> None:
    """Flip so many bits anywhere."""
    for place in rng.integers(0, 8 * len(data), count):
        data[place // 8] ^= 1 << (place % 8)


def _place(data: bytearray, rng: np.random.Generator) -> int:
    """Return a place in the file; headers and indexes at either end are hit as often as all the rest."""
    size = len(data)
    near = min(size, 1024)
    where = rng.integers(4)
    if where == 0:
        return int(rng.integers(near))
    if where == 1:
        return size - 1 - int(rng.integers(near))
    return int(rng.integers(size))


def _flip(data: bytearray, _: Sequence[bytes], rng: np.random.Generator) -> None:
    if data:
        data[_place(data, rng)] ^= 1 << int(rng.integers(8))


def _set_byte(data: bytearray, _: Sequence[bytes], rng: np.random.Generator) -> None:
    if data:
        data[_place(data, rng)] = int(rng.integers(256))


def _set_number(data: bytearray, _: Sequence[bytes], rng: np.random.Generator) -> None:
    width = int(2 ** rng.integers(4))
    if len(data) >= width:
        place = min(_place(data, rng), len(data) - width)
        number = _EDGES[int(rng.integers(len(_EDGES)))] & ((1 << 8 * width) - 1)
        data[place : place + width] = number.to_bytes(width, "big" if rng.integers(2) else "little")


def _change_box(data: bytearray, _: Sequence[bytes], rng: np.random.Generator) -> None:
    """Change the length before four letters: a box of MP4, a chunk of RIFF."""
    for _attempt in range(20 if len(data) > 16 else 0):
        place = min(max(_place(data, rng), 4), len(data) - 8)
        for start in range(place, min(place + 64, len(data) - 8)):
            if data[start : start + 4].isalpha():
                number = _EDGES[int(rng.integers(len(_EDGES)))] & 0xFFFFFFFF
                at = start - 4 if rng.integers(2) else start + 4
                data[at : at + 4] = number.to_bytes(4, "big")
                return


def _delete(data: bytearray, _: Sequence[bytes], rng: np.random.Generator) -> None:
    if data:
        place = _place(data, rng)
        del data[place : place + int(rng.integers(1, 65))]


def _repeat(data: bytearray, _: Sequence[bytes], rng: np.random.Generator) -> None:
    if data:
        place = _place(data, rng)
        data[place:place] = data[place : place + int(rng.integers(1, 513))] * int(rng.integers(1, 5))


def _blank(data: bytearray, _: Sequence[bytes], rng: np.random.Generator) -> None:
    if data:
        place = _place(data, rng)
        length = min(int(rng.integers(1, 257)), len(data) - place)
        data[place : place + length] = bytes([0xFF if rng.integers(2) else 0]) * length


def _splice(data: bytearray, others: Sequence[bytes], rng: np.random.Generator) -> None:
    if data and others:
        other = others[int(rng.integers(len(others)))]
        start = int(rng.integers(max(1, len(other))))
        place = _place(data, rng)
        data[place:place] = other[start : start + int(rng.integers(1, 2049))]


def _cut(data: bytearray, _: Sequence[bytes], rng: np.random.Generator) -> None:
    if len(data) > 1 and rng.integers(3) == 0:
        del data[int(rng.integers(1, len(data))) :]


_MUTATIONS: tuple[Callable[[bytearray, Sequence[bytes], np.random.Generator], None], ...] = (
    _flip,
    _set_byte,
    _set_number,
    _set_number,
    _change_box,
    _delete,
    _repeat,
    _blank,
    _splice,
    _cut,
)
