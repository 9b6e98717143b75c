"""Arguments that look right and are not: an `InputError` on the call, never another error or a later one."""

from __future__ import annotations

import os
from fractions import Fraction

import pytest

import flowtell
from flowtell import Detector, Effort, InputError, samples
from flowtell._arguments import is_finite, is_path
from flowtell._bundle import bundle_from_argument
from flowtell._decode_limits import DecodeLimits

HUGE = 10**400
"""More than a float can be."""


@pytest.fixture(scope="module")
def tiny(tiny_bundle):
    with Detector.open(tiny_bundle, threads=1) as detector:
        yield detector


@pytest.fixture
def entry_of_bytes():
    """What `os.scandir` gives of a folder that is named by bytes: its path is bytes, too."""
    folder = os.fsencode(samples.natural_path().parent)
    with os.scandir(folder) as entries:
        return next(entry for entry in entries if entry.name.endswith(b".mp4"))


def test_finite_is_what_a_float_can_hold():
    assert [is_finite(number) for number in (0, -1.5, 10**300, Fraction(1, 3))] == [True] * 4
    assert not any(map(is_finite, (HUGE, -HUGE, Fraction(HUGE), float("nan"), float("inf"))))


@pytest.mark.parametrize("name", ["clips_per_minute", "compute_s", "error_rate"])
def test_an_effort_of_a_huge_number_is_refused(name):
    with pytest.raises(InputError, match=f"^{name} must be a number"):
        Effort(**{name: HUGE})


@pytest.mark.parametrize("name", ["frame_s", "file_s", "cpu_s", "memory_bytes"])
def test_a_limit_of_a_huge_number_is_refused(name):
    with pytest.raises(InputError, match=f"^{name} must be a positive finite number"):
        DecodeLimits(**{name: HUGE})


def test_a_huge_time_is_refused(tiny, portrait):
    with pytest.raises(InputError, match="timeout_s must be a number of seconds"):
        tiny.detect(samples.natural_path(), timeout_s=HUGE)
    with tiny.stream() as stream:
        for time_s in (HUGE, Fraction(HUGE)):
            with pytest.raises(InputError, match="timestamp_s must be a number"):
                stream.push(portrait, timestamp_s=time_s)


def test_what_names_no_video_is_refused_on_the_call(tiny, tiny_bundle, entry_of_bytes):
    for value in (5, None, b"clip.mp4", entry_of_bytes):
        assert not is_path(value)
        for use in (tiny.detect, lambda value: flowtell.iter_face_clips(value, tiny_bundle)):
            with pytest.raises(InputError, match="a video is named by a str or a path, not by"):
                use(value)
    with pytest.raises(InputError, match="bundle must be a folder, a Bundle or None, not DirEntry"):
        bundle_from_argument(entry_of_bytes)
