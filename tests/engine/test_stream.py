"""Frames pushed one at a time: the scores of the file, whoever made the frames."""

from __future__ import annotations

import gc
import importlib.util
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest

from flowtell import Detector, InputError, ProviderError, samples
from flowtell._decode import VideoReader
from flowtell._host_frame import frame_from_host
from flowtell._verdict import sigmoid

NATURAL, SWAPPED = samples.natural_path(), samples.swapped_path()
DEVELOPMENT = "celebdf/real/id51_0002_c.mp4"


@pytest.fixture(scope="module")
def tiny(tiny_bundle):
    with Detector.open(tiny_bundle) as detector:
        yield detector


def clips_of_file(result):
    """Return (track, start, end, box, logit, pair logits) of every clip, by track and time."""
    return sorted(
        (face.track, clip.start_s, clip.end_s, clip.box, clip.logit, clip.pair_logits)
        for face in result.faces
        for clip in face.clips
    )


def clips_of_scores(scores):
    return sorted((s.track, s.start_s, s.end_s, s.box, s.logit, s.pair_logits) for s in scores)


def stream_file(detector, path):
    scores = []
    with detector.stream() as stream, VideoReader(path) as reader:
        for frame in reader:
            scores += stream.push(frame.image, timestamp_s=frame.time_s)
        return scores + stream.finish()


def test_a_stream_scores_as_its_file_bit_for_bit(tiny):
    scores = stream_file(tiny, NATURAL)
    assert len(scores) == 6
    assert clips_of_scores(scores) == clips_of_file(tiny.detect(NATURAL))
    assert [score.start_s for score in scores] == sorted(score.start_s for score in scores)
    assert all(score.fake_probability == sigmoid(score.logit) for score in scores)


def test_a_finished_stream_has_the_result_of_its_file(tiny):
    wanted = tiny.detect(SWAPPED)
    with tiny.stream() as stream, VideoReader(SWAPPED) as reader:
        assert stream.result().state == "too_short"
        for frame in reader:
            stream.push(frame.image, timestamp_s=frame.time_s)
        before = stream.result("so far")
        stream.finish()
    assert (before.file, before.state, before.stopped) == ("so far", "ok", "budget")
    assert 0 < before.pairs_judged < wanted.pairs_judged
    got = stream.result(str(SWAPPED))
    assert got.timing_ms.decode == 0 < got.timing_ms.detector
    assert replace(got, timing_ms=wanted.timing_ms) == wanted


def test_after_an_error_of_a_graph_a_stream_begins_anew_and_says_so(tiny_bundle, monkeypatch):
    with Detector.open(tiny_bundle) as detector, detector.stream() as stream, VideoReader(NATURAL) as reader:
        frames = list(reader)
        whole = stream_file(detector, NATURAL)
        find, calls = stream._maker._finder.find, []

        def fail_once(frame):
            calls.append(frame)
            if len(calls) == 2:
                raise ProviderError("no memory")
            return find(frame)

        monkeypatch.setattr(stream._maker._finder, "find", fail_once)
        scores, failed_at = [], None
        for number, frame in enumerate(frames):
            try:
                scores += stream.push(frame.image, timestamp_s=frame.time_s)
            except ProviderError:
                failed_at = number
        scores += stream.finish()
        result = stream.result()
    assert failed_at == 16
    # what that clip had is lost; those after it are whole, and as long as any
    assert len(scores) >= 5
    assert max(len(score.pair_logits) for score in scores) == 16 == len(whole[0].pair_logits)
    assert min(score.start_s for score in scores) > frames[failed_at].time_s
    assert (result.stopped, result.state) == ("budget", "ok")


def test_a_stream_without_a_face_says_so(tiny):
    with tiny.stream() as stream:
        for number in range(8):
            stream.push(np.full((64, 64, 3), 30 * number, np.uint8), timestamp_s=number / 25)
        stream.finish()
        result = stream.result()
    assert (result.state, result.verdict, result.fake_probability) == ("no_face", "undecided", None)
    assert "no face was found in its 8 frames" in result.reason


def test_a_stream_of_a_real_video_scores_as_its_file_bit_for_bit(tiny, dev_data):
    path = dev_data / "clips" / DEVELOPMENT
    assert clips_of_scores(stream_file(tiny, path)) == clips_of_file(tiny.detect(path))


def test_streams_side_by_side_score_as_alone(tiny):
    wanted = {path: clips_of_scores(stream_file(tiny, path)) for path in (NATURAL, SWAPPED)}
    got = []
    threads = [
        threading.Thread(target=lambda p=path: got.append((p, clips_of_scores(stream_file(tiny, p)))))
        for path in (NATURAL, SWAPPED, NATURAL)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 3
    assert all(scores == wanted[path] for path, scores in got)


def test_scores_come_while_frames_do(tiny, portrait):
    counts = []
    with tiny.stream() as stream:
        for index in range(1 + 16 * 12):
            frame = np.roll(portrait, index % 3, axis=1)
            counts.append(len(stream.push(frame, timestamp_s=index / 25)))
        left = stream.finish()
    assert sum(counts) + len(left) == 12
    assert len(left) <= 1 + 2 * tiny.threads


def test_a_frame_s_memory_may_be_used_again(tiny, portrait):
    buffer = np.empty_like(portrait)
    with tiny.stream() as reused, tiny.stream() as fresh:
        for index in range(6):
            buffer[...] = np.roll(portrait, index, axis=1)
            reused.push(buffer, timestamp_s=index / 25)
            fresh.push(buffer.copy(), timestamp_s=index / 25)
        assert reused.finish() == fresh.finish() != []


class Shares:
    """An object that shares its memory by NumPy's protocol alone, as PIL's images do."""

    def __init__(self, array):
        self.__array_interface__ = array.__array_interface__
        self._array = array


@pytest.mark.parametrize("borrowed", [Shares, np.asfortranarray])
def test_frames_of_other_libraries_are_taken(portrait, borrowed):
    taken = frame_from_host(borrowed(portrait))
    assert taken.flags.c_contiguous
    assert np.array_equal(taken, portrait)


JAX_FRAME = """
import jax, numpy as np
from flowtell._host_frame import frame_from_host
frame = np.arange(6 * 5 * 3, dtype=np.uint8).reshape(6, 5, 3)
with jax.default_device(jax.devices("cpu")[0]):
    taken = frame_from_host(jax.numpy.asarray(frame))
print(taken.flags.c_contiguous and np.array_equal(taken, frame))
"""


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")
def test_frames_of_jax_are_taken():
    """In a process of its own: JAX warns of every fork in one that has loaded it."""
    done = subprocess.run([sys.executable, "-c", JAX_FRAME], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


class OnDevice:
    def __init__(self, kind):
        self._kind = kind

    def __dlpack_device__(self):
        return (self._kind, 0)

    def __dlpack__(self):
        raise AssertionError("memory of a device must not be read")


class Kept:
    def __dlpack_device__(self):
        return (1, 0)

    def __dlpack__(self, **_):
        raise BufferError("it is still needed")


class Gone:
    def __dlpack_device__(self):
        raise RuntimeError("its memory was freed")


class OnCuda:
    __cuda_array_interface__ = {"shape": (4, 4, 3), "typestr": "|u1", "data": (0, False), "version": 3}  # noqa: RUF012


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (
            OnCuda(),
            "the frame lies in CUDA memory, and faces are looked for on the CPU: copy it to host memory",
        ),
        (OnDevice(2), "the frame lies in memory of DLPack's device type 2"),
        (Kept(), "this Kept does not give its pixels to NumPy: it is still needed"),
        (Gone(), "this Gone does not give its pixels to NumPy: its memory was freed"),
        (np.zeros((4, 4), np.uint8), r"not uint8 \[4, 4\]"),
        (np.zeros((4, 4, 4), np.uint8), r"not uint8 \[4, 4, 4\]"),
        (np.zeros((4, 4, 3), np.float32), r"not float32 \[4, 4, 3\]"),
        (np.zeros((0, 4, 3), np.uint8), r"not uint8 \[0, 4, 3\]"),
        (np.broadcast_to(np.uint8(0), (8193, 4, 3)), "a frame of 4x8193 px is too large"),
        ([[[0, 0, 0]]], "a frame must be a NumPy array or have __dlpack__ or __array_interface__, not list"),
        (b"abc", "not bytes"),
    ],
)
def test_what_is_no_frame_is_refused(tiny, frame, says):
    with tiny.stream() as stream, pytest.raises(InputError, match=says):
        stream.push(frame, timestamp_s=0.0)


def test_times_that_go_back_or_are_none_are_refused(tiny, portrait):
    with tiny.stream() as stream:
        stream.push(portrait, timestamp_s=1.0)
        stream.push(portrait, timestamp_s=1.0)
        for bad in (0.9, float("nan"), float("inf"), None, "1"):
            with pytest.raises(InputError, match="timestamp_s must be a number and not go back"):
                stream.push(portrait, timestamp_s=bad)


def test_a_stream_keeps_its_detector(tiny_bundle, portrait):
    stream = Detector.open(tiny_bundle, threads=1).stream()
    gc.collect()
    for index in range(6):
        stream.push(np.roll(portrait, index, axis=1), timestamp_s=index / 25)
    assert len(stream.finish()) == 1


class FailingOnce:
    """A session of which one call fails."""

    def __init__(self, session, call):
        self._session = session
        self._left = call

    def run(self, names, call=None, **inputs):
        self._left -= 1
        if self._left == 0:
            raise ProviderError("it failed")
        return self._session.run(names, call, **inputs)


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_a_clip_that_fails_costs_no_other_clip_s_score(tiny_bundle, portrait, failing):
    frames = [np.roll(portrait, 3 * index, axis=1) for index in range(49)]

    def scores_of(detector):
        found, errors = [], 0
        with detector.stream() as stream:
            calls = [lambda i=i: stream.push(frames[i], timestamp_s=i / 25) for i in range(len(frames))]
            for call in (*calls, stream.finish, stream.finish):
                try:
                    found += call()
                except ProviderError:
                    errors += 1
                except InputError:
                    # the first finish was the last
                    assert call == stream.finish
        return found, errors

    with Detector.open(tiny_bundle, threads=1) as detector:
        wanted, none = scores_of(detector)
        detector._pool._session = FailingOnce(detector._pool._session, failing)
        found, one = scores_of(detector)
    assert (len(wanted), none, one) == (3, 0, 1)
    assert found == wanted[: failing - 1] + wanted[failing:]


def test_a_stream_that_has_ended_takes_no_more(tiny_bundle, portrait):
    with Detector.open(tiny_bundle) as detector:
        finished, closed = detector.stream(), detector.stream()
        assert finished.finish() == []
        closed.close()
        for stream in (finished, closed):
            with pytest.raises(InputError, match="the stream has ended"):
                stream.push(portrait, timestamp_s=0.0)
            with pytest.raises(InputError, match="the stream has ended"):
                stream.finish()
        of_closed = detector.stream()
    with pytest.raises(InputError, match="detector is closed"):
        of_closed.push(portrait, timestamp_s=0.0)
    with pytest.raises(InputError, match="detector is closed"):
        of_closed.finish()
    with pytest.raises(InputError, match="detector is closed"):
        detector.stream()
