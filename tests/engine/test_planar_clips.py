"""Clips of videos whose colours are made late are those of frames that come in RGB."""

from __future__ import annotations

import numpy as np
import pytest
from media.seeds import face_frames

from flowtell import Bundle, DecodeError, Detector, Effort, iter_face_clips
from flowtell._clock import StageClock
from flowtell._face_crops import Cropper
from flowtell._interpreters import DECODER_VARIABLE, IN_PROCESS
from flowtell._pipeline import ClipReader, open_face_graphs
from flowtell._planar_parts import PartConverter
from flowtell._planes import PlaneTaker


@pytest.fixture
def large_video(write_video):
    """A face in 1280x720, three of it side by side: large enough to be taken apart."""
    frames = [np.concatenate([frame] * 3, axis=1)[:, :1280] for frame in face_frames(40, 720)]
    return write_video("large.mp4", frames)


def test_clips_do_not_depend_on_who_makes_the_colours(large_video, tiny_bundle, monkeypatch):
    clips = list(iter_face_clips(large_video, tiny_bundle))
    assert len(clips) > 3
    monkeypatch.setenv(DECODER_VARIABLE, IN_PROCESS)
    monkeypatch.setattr(PlaneTaker, "take", lambda self, picture: None)
    again = list(iter_face_clips(large_video, tiny_bundle))
    for clip, other in zip(clips, again, strict=True):
        assert (clip.track, clip.box, clip.times_s) == (other.track, other.box, other.times_s)
        assert np.array_equal(clip.frames, other.frames)


def with_a_cut_and_a_pan(frames):
    """The same people in another light from half on, after which the camera turns."""
    half = len(frames) // 2
    darker = [(frame * 0.85).astype(np.uint8) for frame in frames[half:]]
    return frames[:half] + [np.roll(frame, 8 * number, axis=1) for number, frame in enumerate(darker)]


@pytest.mark.parametrize("change", [list, with_a_cut_and_a_pan])
def test_a_sample_has_the_clips_of_frames_that_come_in_rgb(write_video, tiny_bundle, monkeypatch, change):
    """What bounds how far boxes of planar frames differ rules no cut out that there is."""
    frames = [np.concatenate([frame] * 3, axis=1)[:, :1280] for frame in face_frames(80, 720)]
    path = write_video("large.mp4", change(frames))
    clips = list(iter_face_clips(path, tiny_bundle, max_clips=256))
    monkeypatch.setenv(DECODER_VARIABLE, IN_PROCESS)
    monkeypatch.setattr(PlaneTaker, "take", lambda self, picture: None)
    again = list(iter_face_clips(path, tiny_bundle, max_clips=256))
    assert len(clips) == len(again) > 6
    for clip, other in zip(clips, again, strict=True):
        assert (clip.track, clip.box, clip.times_s) == (other.track, other.box, other.times_s)
        assert np.array_equal(clip.frames, other.frames)


def test_boxes_are_signed_where_a_shot_may_end(large_video, tiny_bundle, monkeypatch):
    signed = []
    monkeypatch.setattr(Cropper, "signature", counting(Cropper.signature, signed))
    graphs = open_face_graphs(Bundle.open(tiny_bundle))
    reader = ClipReader(graphs, large_video, StageClock(), is_sampled=True)
    clips = list(reader)
    followed = sum(clip.pairs + 1 for clip in clips)
    assert len(signed) < followed / 4


def counting(method, calls):
    def counted(*arguments):
        calls.append(arguments)
        return method(*arguments)

    return counted


@pytest.mark.parametrize("effort", [Effort(max_clips=2), Effort(error_rate=0.05), Effort()])
@pytest.mark.parametrize("good", [0, 3, 12, -1])
def test_colours_that_cannot_be_made_are_the_state_of_the_file(
    large_video, tiny_bundle, monkeypatch, good, effort
):
    """Of faces that are looked for, of crops that are judged: whenever they are made."""
    made = []
    most = 10**6

    def until_memory_is_gone(converter, part, colours=PartConverter.colours):
        made.append(part)
        if len(made) > most:
            raise DecodeError("too_large", "its colours take more memory than there is")
        return colours(converter, part)

    monkeypatch.setattr(PartConverter, "colours", until_memory_is_gone)
    with Detector.open(tiny_bundle) as detector:
        assert detector.detect(large_video, effort=effort).state == "ok"
        most = good if good >= 0 else len(made) + good
        made.clear()
        result = detector.detect(large_video, effort=effort)
    # what judges everything has judged the clips before, as of any file that breaks off
    state = "truncated" if effort == Effort() and result.faces else "too_large"
    assert (result.state, result.verdict) == (state, "undecided" if not result.faces else result.verdict)
    assert result.reason.startswith("its colours take more memory than there is")
    assert (result.stopped == "all") <= (effort == Effort() or not result.pairs_judged)
