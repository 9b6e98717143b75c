"""Boxes become crops: at once, or when they are asked for, and nobody can tell the two apart."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from flowtell import Bundle, Detector, Effort, _pipeline, iter_face_clips, samples
from flowtell._clock import StageClock
from flowtell._face_crops import Cropper, WaitingPixels
from flowtell._frame import RgbFrame
from flowtell._pipeline import ClipReader, open_face_graphs

NATURAL = samples.natural_path()
ALL_CROPS = 6 * 17 + 1
"""Of the sample: six clips of 17 frames, and the last frame begins a seventh."""
BOX = (86, 92, 300, 300)


class Counted:
    """A graph session that counts how often it runs."""

    def __init__(self, session):
        self.session = session
        self.runs = 0

    def run(self, *arguments, **inputs):
        self.runs += 1
        return self.session.run(*arguments, **inputs)


@pytest.fixture(scope="module")
def graphs(motion_bundle):
    return open_face_graphs(Bundle.open(motion_bundle))


@pytest.fixture
def cropper(graphs):
    return Cropper(graphs.cuts, graphs.crop, graphs.crop_size, StageClock())


def test_crops_have_the_bundles_size_inside_and_outside_the_frame(graphs, portrait):
    clock = StageClock()
    cropper = Cropper(graphs.cuts, graphs.crop, graphs.crop_size, clock)
    for box in (BOX, (-100, -100, 300, 300), (470, 470, 64, 64), (-900, 0, 200, 200)):
        crop = cropper.cut(RgbFrame(portrait, 0.0), box)
        assert crop.image.shape == (64, 64, 3)
        assert crop.signature.shape == (8, 8, 3)
    assert clock.spent_ms("crop") > 0
    # a box of the crop's own size is a copy
    copy = cropper.cut(RgbFrame(portrait, 0.0), (100, 120, 64, 64)).image
    assert np.array_equal(copy, portrait[120:184, 100:164])


@pytest.mark.parametrize("box", [BOX, (0, 0, 480, 480), (0, 100, 480, 64)])
def test_a_crop_that_waits_is_of_the_frame_as_it_was(cropper, portrait, box):
    wanted = cropper.cut(RgbFrame(portrait, 0.0), box).image
    pixels = portrait.copy()
    crop = cropper.cut(RgbFrame(pixels, 0.0), box)
    crop.wait_in(WaitingPixels(1 << 20))
    pixels[:] = 0
    assert np.array_equal(crop.image, wanted)
    assert crop.image is crop.image


def test_what_has_no_room_is_made_at_once_and_room_comes_back(graphs, portrait):
    counted = Counted(graphs.crop)
    cropper = Cropper(graphs.cuts, counted, graphs.crop_size, StageClock())
    more_bytes = 3 * 300**2 - 3 * 64**2
    room = WaitingPixels(2 * more_bytes)

    def waiting():
        crop = cropper.cut(RgbFrame(portrait, 0.0), BOX)
        crop.wait_in(room)
        return crop

    first, second = waiting(), waiting()
    assert counted.runs == 0
    third = waiting()
    assert counted.runs == 1
    # pixels that take no more than their crop always wait
    cropper.cut(RgbFrame(portrait, 0.0), (100, 120, 64, 64)).wait_in(room)
    assert counted.runs == 1
    assert np.array_equal(first.image, third.image)
    fourth = waiting()
    assert counted.runs == 2
    del second
    fifth = waiting()
    assert counted.runs == 2
    assert np.array_equal(fourth.image, fifth.image)


def test_a_sample_makes_the_crops_that_are_looked_at_and_no_others(graphs, motion_bundle):
    counted = Counted(graphs.crop)
    reader = ClipReader(replace(graphs, crop=counted), NATURAL, StageClock(), is_sampled=True)
    clips = list(reader)
    assert counted.runs == 0
    everything = list(iter_face_clips(NATURAL, motion_bundle))
    assert [clip.pairs for clip in clips] == [len(clip.frames) - 1 for clip in everything] == [16] * 6
    assert np.array_equal(clips[3].frames, everything[3].frames)
    assert counted.runs == 17
    part, whole = clips[3].part(4, 8), everything[3].part(4, 8)
    assert (part.start_s, part.end_s, part.pairs) == (whole.start_s, whole.end_s, 4)
    assert np.array_equal(part.frames, whole.frames)
    assert np.array_equal(clips[4].part(4, 8).frames, everything[4].frames[4:9])
    assert counted.runs == 22


@pytest.fixture
def counted_detector(tiny_bundle):
    """A detector that counts the crops it makes, and the count."""
    with Detector.open(tiny_bundle) as detector:
        counted = Counted(detector._graphs.crop)
        detector._graphs = replace(detector._graphs, crop=counted)
        yield detector, counted


def test_a_file_is_cut_as_far_as_it_is_judged(counted_detector):
    """A clip that was begun and then not wanted is cut, too."""
    detector, counted = counted_detector
    detector.detect(NATURAL, max_clips=1)
    assert 17 <= counted.runs <= 2 * 17
    counted.runs = 0
    result = detector.detect(NATURAL, effort=Effort(compute_s=1e-9))
    assert result.pairs_judged == 2
    # a few runs ahead of what is judged
    assert 3 <= counted.runs <= 3 * (1 + detector._pool.clips_ahead)
    counted.runs = 0
    detector.detect(NATURAL)
    assert counted.runs == ALL_CROPS


def test_without_room_every_crop_is_made_and_nothing_else_changes(counted_detector, monkeypatch):
    detector, counted = counted_detector
    effort = Effort(error_rate=0.05)
    roomy = detector.detect(NATURAL, effort=effort)
    monkeypatch.setattr(_pipeline, "_MAX_WAITING_BYTES", 0)
    counted.runs = 0
    cramped = detector.detect(NATURAL, effort=effort)
    assert counted.runs == ALL_CROPS
    assert (cramped.faces, cramped.stopped) == (roomy.faces, roomy.stopped)


@pytest.mark.parametrize("max_clips", [None, 2])
def test_clips_that_are_handed_out_are_pictures(motion_bundle, max_clips):
    clips = list(iter_face_clips(NATURAL, motion_bundle, max_clips=max_clips))
    copies = pickle.loads(pickle.dumps(clips))
    assert len(copies) == (max_clips or 6)
    assert all(np.array_equal(a.frames, b.frames) for a, b in zip(clips, copies, strict=True))
    assert repr(clips[0]) == "<FaceClip of face 0, 0.000 s to 0.640 s, 16 pairs>"
