"""Decoding: colours, times and orientation of good files; the state and the reason of bad ones."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest
from tolerances import TOLERANCES

from flowtell import DecodeError
from flowtell import _decode as decode
from flowtell._decode import VideoReader


def gradient(width, height, shift=0):
    """A picture without hard edges, another for each `shift`: `uint8 [height, width, 3]`."""
    y, x = np.mgrid[:height, :width].astype(float)
    red = 40 + 150 * x / width
    green = 40 + 150 * y / height
    blue = 90 + 60 * np.sin((x + y) / (width + height) * 3 + shift / 5)
    return np.stack([red, green, blue], -1).round().astype(np.uint8)


def read(path):
    with VideoReader(path) as reader:
        return list(reader)


def broken(path, state):
    """Read to the error; return (good frames, its sentence)."""
    frames = []
    with pytest.raises(DecodeError) as caught, VideoReader(path) as reader:
        frames.extend(reader)
    assert caught.value.state == state
    assert "\n" not in str(caught.value)
    return frames, str(caught.value)


LOSSLESS = {"codec": "ffv1", "pix_fmt": "yuv444p"}


def test_colours_come_back(write_video):
    pictures = [gradient(96, 64, shift) for shift in range(3)]
    frames = read(write_video("a.mkv", pictures, **LOSSLESS))
    assert len(frames) == 3
    for frame, picture in zip(frames, pictures, strict=True):
        assert frame.image.dtype == np.uint8
        assert frame.image.flags.c_contiguous
        worst = np.abs(frame.image.astype(int) - picture).max()
        assert worst <= TOLERANCES["lossless_colour_levels"].value


def test_decoding_twice_gives_the_same_bytes(write_video):
    path = write_video("a.mp4", [gradient(131, 77, shift) for shift in range(6)], pix_fmt="yuv444p")
    for first, second in zip(read(path), read(path), strict=True):
        assert first.time_s == second.time_s
        assert np.array_equal(first.image, second.image)


@pytest.mark.parametrize(
    ("size", "options"),
    [
        ((64, 64), {}),
        ((97, 55), {"codec": "ffv1", "pix_fmt": "yuv444p"}),
        ((99, 51), {"codec": "ffv1", "pix_fmt": "yuv420p"}),
        ((3840, 2160), {"codec": "mpeg4"}),
        ((66, 7680), {"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
    ],
)
def test_sizes_odd_and_large(write_video, size, options):
    width, height = size
    (frame,) = read(write_video("a.mkv", [gradient(width, height)], **options))
    assert frame.image.shape == (height, width, 3)


def test_ten_bits_become_eight(write_video):
    picture = gradient(96, 64)
    (frame,) = read(write_video("a.mkv", [picture], codec="ffv1", pix_fmt="yuv444p10le"))
    assert np.abs(frame.image.astype(int) - picture).max() <= TOLERANCES["ten_bit_colour_levels"].value


def test_grey_becomes_equal_channels(write_video):
    grey = gradient(96, 64)[..., 0]
    path = write_video("a.mkv", [grey], codec="ffv1", pix_fmt="gray", source_format="gray")
    (frame,) = read(path)
    assert np.array_equal(frame.image[..., 0], frame.image[..., 1])
    assert np.array_equal(frame.image[..., 0], frame.image[..., 2])


def test_alpha_is_dropped(write_video):
    picture = gradient(96, 64)
    rgba = np.concatenate([picture, np.full((64, 96, 1), 20, np.uint8)], -1)
    path = write_video("a.mkv", [rgba], codec="ffv1", pix_fmt="yuva444p", source_format="rgba")
    (frame,) = read(path)
    assert np.abs(frame.image.astype(int) - picture).max() <= TOLERANCES["lossless_colour_levels"].value


def test_times_are_presentation_times_of_a_variable_rate(write_video):
    ticks = [0, 40, 50, 130, 500]
    pictures = [gradient(64, 64, shift) for shift in range(5)]
    path = write_video("a.mp4", pictures, time_base=Fraction(1, 1000), ticks=ticks)
    times = [frame.time_s for frame in read(path)]
    assert times == pytest.approx([tick / 1000 for tick in ticks], abs=TOLERANCES["time_s"].value)


def test_times_count_from_the_start_of_the_stream(write_video):
    path = write_video("a.mpg", [gradient(64, 64, s) for s in range(4)], codec="mpeg2video")
    assert av.open(str(path)).streams.video[0].start_time != 0
    times = [frame.time_s for frame in read(path)]
    assert times == pytest.approx([0, 0.04, 0.08, 0.12], abs=TOLERANCES["time_s"].value)


def test_missing_files_folders_and_text(tmp_path):
    assert "does not exist" in broken(tmp_path / "nowhere.mp4", "undecodable")[1]
    assert "is a folder" in broken(tmp_path, "undecodable")[1]
    for name, data in {"empty.mp4": b"", "text.mp4": b"hello\n" * 5000, "zeros.mp4": bytes(9999)}.items():
        (tmp_path / name).write_bytes(data)
        assert "cannot be opened as a video" in broken(tmp_path / name, "undecodable")[1]


def test_a_format_that_is_not_read_is_called_that(tmp_path):
    with av.open(str(tmp_path / "a.wav"), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        sound.rate = 8000
        out.mux(stream.encode(sound))
    assert "it is in no format that is read here: MP4, MOV" in broken(tmp_path / "a.wav", "undecodable")[1]


def test_a_playlist_cannot_open_other_files(write_video, tmp_path):
    video = write_video("a.mp4", [gradient(64, 64)])
    (tmp_path / "list.m3u8").write_text(f"#EXTM3U\n#EXTINF:1,\n{video}\n#EXT-X-ENDLIST\n")
    (tmp_path / "list.txt").write_text(f"ffconcat version 1.0\nfile '{video}'\n")
    for name in ("list.m3u8", "list.txt"):
        broken(tmp_path / name, "undecodable")


def test_a_name_that_looks_like_an_address_is_a_file(write_video, tmp_path, monkeypatch):
    write_video("http:a.mp4", [gradient(64, 64)])
    monkeypatch.chdir(tmp_path)
    assert len(read("http:a.mp4")) == 1


def write_audio(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), format="fltp", layout="mono")
        frame.rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_sound_alone_is_undecodable_and_says_so(tmp_path):
    write_audio(tmp_path / "a.m4a")
    assert broken(tmp_path / "a.m4a", "undecodable")[1] == "it has no video in it, only audio"


def test_too_large_before_a_picture_is_decoded(write_video, monkeypatch):
    path = write_video("a.mkv", [gradient(200, 100)], **LOSSLESS)
    monkeypatch.setattr(decode, "MAX_SIDE_PX", 128)
    frames, sentence = broken(path, "too_large")
    assert not frames
    assert "200x100 px" in sentence
    monkeypatch.setattr(decode, "MAX_SIDE_PX", 8192)
    monkeypatch.setattr(decode, "MAX_FRAME_PX", 100 * 100)
    broken(path, "too_large")


def cut_file(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {"container_options": {"movflags": "faststart"}}),
        ("a.mkv", {}),
        ("a.avi", {"codec": "mpeg4"}),
        ("a.asf", {"codec": "wmv2"}),
        ("a.gif", {"codec": "gif", "pix_fmt": "rgb8"}),
    ],
)
def test_a_file_cut_short_gives_its_frames_and_then_says_truncated(write_video, name, options):
    pictures = [np.roll(gradient(160, 120, shift), 3 * shift, 1) for shift in range(100)]
    path = write_video(name, pictures, **options)
    whole = read(path)
    assert len(whole) == 100
    frames, sentence = broken(cut_file(path, 0.6), "truncated")
    assert 10 < len(frames) < 100
    assert sentence
    for got, want in zip(frames, whole, strict=False):
        assert np.array_equal(got.image, want.image)


def write_with_sound(path, video_s, sound_s):
    """Write 25 pictures and 44100 samples a second, interleaved; every picture is noise of its own."""
    rng = np.random.default_rng(3)
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("libx264", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 96, 64, "yuv420p"
        sound = container.add_stream("aac", rate=44100)
        for second in range(max(video_s, sound_s)):
            for tick in range(25 * second, 25 * (second + 1) if second < video_s else 0):
                noise = rng.integers(0, 256, (64, 96, 3), dtype=np.uint8)
                picture = av.VideoFrame.from_ndarray(noise, format="rgb24")
                picture.pts, picture.time_base = tick, Fraction(1, 25)
                container.mux(pictures.encode(picture))
            if second < sound_s:
                samples = rng.normal(0, 0.1, (1, 44100)).astype(np.float32)
                frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
                frame.rate, frame.pts, frame.time_base = 44100, 44100 * second, Fraction(1, 44100)
                container.mux(sound.encode(frame))
        container.mux(pictures.encode(None))
        container.mux(sound.encode(None))
    return path


@pytest.mark.parametrize("name", ["a.mkv", "a.flv"])
def test_a_file_with_sound_cut_short_says_truncated(tmp_path, name):
    """Its video stream states no duration: only the file does."""
    path = write_with_sound(tmp_path / name, 6, 6)
    assert len(read(path)) == 150
    frames, _ = broken(cut_file(path, 0.5), "truncated")
    assert 50 < len(frames) < 100


def test_sound_that_outlasts_the_pictures_is_no_damage(tmp_path):
    path = write_with_sound(tmp_path / "a.mkv", 2, 6)
    assert len(read(path)) == 50
    frames, sentence = broken(cut_file(path, 0.9), "truncated")
    # the last two, which the encoder sent out of order, might have had others between them
    assert len(frames) == 48
    assert "bytes are missing at its end" in sentence


def test_an_mp4_without_its_index_is_undecodable(write_video):
    path = write_video("a.mp4", [gradient(160, 120, shift) for shift in range(50)])
    broken(cut_file(path, 0.5), "undecodable")


def test_damage_inside_ends_the_reading_before_invented_pixels(write_video):
    rng = np.random.default_rng(1)
    pictures = [np.clip(gradient(160, 120) + rng.integers(-20, 20, (120, 160, 3)), 0, 255) for _ in range(60)]
    path = write_video("a.mp4", [picture.astype(np.uint8) for picture in pictures])
    whole = read(path)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = bytes(400)
    path.write_bytes(data)
    frames, sentence = broken(path, "truncated")
    assert 1 < len(frames) < 60
    assert "broken" in sentence
    for got, want in zip(frames, whole, strict=False):
        assert np.array_equal(got.image, want.image)


def test_a_recording_that_starts_inside_a_group_of_pictures_is_read(write_video):
    pictures = [np.roll(gradient(160, 120), 2 * shift, 1) for shift in range(60)]
    path = write_video("a.ts", pictures, options={"g": "20", "bf": "0"})
    data = path.read_bytes()
    start = len(data) // 3 // 188 * 188
    path.write_bytes(data[start:])
    assert 20 <= len(read(path)) < 60


def test_nothing_is_printed_by_the_decoder(write_video, tmp_path):
    """FFmpeg complains on the process's own stderr unless it is told not to."""
    path = write_video("a.mp4", [gradient(160, 120, s) for s in range(60)])
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :][:300] = bytes(300)
    path.write_bytes(data)
    (tmp_path / "text.mp4").write_text("hello" * 999)
    code = (
        "import sys\nfrom flowtell._decode import VideoReader\nfrom flowtell import DecodeError\n"
        "for name in sys.argv[1:]:\n"
        "    try:\n        list(VideoReader(name))\n    except DecodeError: pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(tmp_path / "text.mp4")], capture_output=True, check=True
    )
    assert done.stdout == b""
    assert done.stderr == b""


def test_an_unknown_codec_is_undecodable(write_video):
    path = write_video("a.mp4", [gradient(64, 64, shift) for shift in range(3)])
    data = path.read_bytes()
    assert data.count(b"avc1") >= 1
    path.write_bytes(data.replace(b"avc1", b"zzzz"))
    broken(path, "undecodable")


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_random_damage_ends_in_frames_or_in_a_state(write_video, name):
    path = write_video(
        name, [np.roll(gradient(96, 64), shift, 1) for shift in range(40)], options={"g": "10"}
    )
    whole = path.read_bytes()
    rng = np.random.default_rng(7)
    states = set()
    for _ in range(25):
        data = bytearray(whole)
        # headers are hit as often as pictures
        reach = 600 if rng.random() < 0.5 else len(data)
        for place in rng.integers(0, reach, rng.integers(1, 20)):
            data[place] = rng.integers(0, 256)
        path.write_bytes(data)
        try:
            assert len(read(path)) <= 40
            states.add("ok")
        except DecodeError as error:
            states.add(error.state)
    assert states <= {"ok", "undecodable", "truncated", "too_large"}
    assert "truncated" in states
