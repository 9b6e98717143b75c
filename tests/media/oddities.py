"""Videos that are valid, or nearly, and that few programs expect: sizes, rates, times, formats."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
States = frozenset[str]

OK = frozenset(("ok",))
NO_FACE = frozenset(("no_face",))
SHORT = frozenset(("too_short",))
LARGE = frozenset(("too_large",))
SMALL = frozenset(("no_face", "face_too_small", "too_short"))
SLOW = frozenset(("timed_out",))
NO_VIDEO = frozenset(("undecodable",))
BROKEN = frozenset(("undecodable", "truncated", "too_large"))


def write_odd(
    path: Path,
    frames: Sequence[Image],
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    *,
    ticks: Sequence[int] | None = None,
    rate: int = 25,
    format: str | None = None,
    options: dict[str, str] | None = None,
    interlaced: bool = False,
) -> Path:
    """Write frames, at `ticks` of 1 / rate s where they are given; return the file."""
    with av.open(str(path), "w", format=format) as container:
        stream = container.add_stream(codec, rate=rate, options={"threads": "1", **(options or {})})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = Fraction(1, rate)
        if interlaced:
            stream.codec_context.flags |= 1 << 18 | 1 << 29  # AV_CODEC_FLAG_INTERLACED_DCT and _ME
        for tick, image in zip(ticks or range(len(frames)), frames, strict=True):
            picture = av.VideoFrame.from_ndarray(image, format="rgb24")
            picture.pts, picture.time_base = tick, Fraction(1, rate)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def write_oddities(folder: Path, frames: list[Image]) -> list[tuple[Path, States]]:
    """Write the oddities, of these frames of a face where they show one; return them with their states."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(4).integers(0, 256, (16, 64, 3), dtype=np.uint8)

    def write(name: str, pictures: Sequence[Image], *words: str, **options: object) -> Path:
        return write_odd(folder / name, pictures, *words, **options)  # type: ignore[arg-type]

    def blank(width: int, height: int) -> Image:
        return np.full((height, width, 3), 90, np.uint8)

    odd = [frame[:-1, :-1] for frame in frames]
    wide = [np.pad(frame, ((0, 0), (0, 240), (0, 0))) for frame in frames]
    jumps = [tick if tick < 20 else tick + 25 * 8 * 3600 for tick in range(len(frames))]
    uneven = [tick * tick for tick in range(len(frames))]
    oddities = [
        (write("one-frame.mp4", frames[:1]), SHORT),
        (write("two-frames.mp4", frames[:2]), SHORT),
        (write("four-frames.mp4", frames[:4]), SHORT),
        (write("one-frame-a-hundred-times.mp4", frames[:1] * 100), SHORT | OK),
        (write("one-pixel.mkv", [blank(1, 1)] * 9, "ffv1", "bgr0"), SHORT),
        (write("two-pixels.mp4", [blank(2, 2)] * 9), SHORT | NO_FACE),
        (write("16k-wide.avi", [blank(16384, 16)] * 6, "mjpeg", "yuvj420p"), LARGE),
        (write("16k-high.mkv", [blank(16, 16384)] * 6, "ffv1", "bgr0"), LARGE),
        (write("8k.avi", [blank(8192, 4320)] * 3, "mjpeg", "yuvj420p"), SHORT | SLOW),
        (write("line.mkv", [noise[:1].repeat(128, 1)[:, :8192]] * 6, "ffv1", "bgr0"), SMALL),
        (write("odd-size.mkv", odd, "ffv1", "yuv420p"), OK),
        (
            write(
                "ten-bits.mp4", frames, "libx265", "yuv420p10le", options={"x265-params": "log-level=none"}
            ),
            OK,
        ),
        (write("grey.mkv", frames, "ffv1", "gray"), OK),
        (write("alpha.mkv", frames, "ffv1", "yuva444p"), OK),
        (write("every-format-4444.mov", frames[:20], "prores_ks", "yuva444p10le"), OK),
        (write("interlaced.mp4", frames, "mpeg2video", interlaced=True), OK),
        (write("wide.mp4", wide), OK),
        (write("times-jump.mp4", frames, ticks=jumps), OK | BROKEN),
        (write("times-uneven.mkv", frames, ticks=uneven), OK),
        (write("thousand-a-second.mp4", frames, rate=1000), OK),
        (write("one-a-minute.mkv", frames, ticks=[60 * tick for tick in range(len(frames))], rate=1), OK),
        (write("only-the-first-is-whole.mp4", frames, options={"g": "999", "bf": "0"}), OK),
        (write("many-b-frames.mp4", frames, options={"bf": "16", "b_strategy": "0"}), OK),
    ]
    oddities += [(path, states) for path, states in _without_video(folder, frames)]
    oddities += [
        (_join(folder / "grows-to-16k.mjpeg", [noise] * 8 + [blank(16384, 16)] * 2), LARGE | BROKEN),
        (_join(folder / "changes-size.mjpeg", [noise, noise[:, :32]] * 6), SMALL),
        (_join(folder / "changes-each-time.mjpeg", [noise[:, :side] for side in range(8, 60)]), SMALL),
        (_picture_bomb(folder / "picture-bomb.mov", frames[:3]), BROKEN),
        (_gif_of_specks(folder / "8k-specks.gif", 8192, 4000, 300), SMALL | SLOW),
        (_size_beside_the_stream(folder / "says-64-is-16k.avi"), LARGE | BROKEN),
    ]
    return oddities


def _without_video(folder: Path, frames: list[Image]) -> list[tuple[Path, States]]:
    """Write containers with sound, a cover or subtitles, and no video."""
    silence = np.zeros((1, 8000), np.float32)
    empty = folder / "no-stream.mkv"
    with av.open(str(empty), "w") as container:
        container.add_stream("aac", rate=8000)
        container.start_encoding()
    no_picture = folder / "no-picture.mp4"
    with av.open(str(no_picture), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        sound = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
        frame.rate = 8000
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    many = folder / "fifty-streams.mkv"
    with av.open(str(many), "w") as container:
        streams = []
        for _ in range(50):
            stream = container.add_stream("mjpeg", rate=25)
            stream.width, stream.height, stream.pix_fmt = 240, 240, "yuvj420p"
            streams.append(stream)
        for tick, image in enumerate(frames[:8]):
            for stream in streams:
                picture = av.VideoFrame.from_ndarray(image, format="rgb24")
                picture.pts, picture.time_base = tick, Fraction(1, 25)
                container.mux(stream.encode(picture))
    return [(empty, NO_VIDEO), (no_picture, NO_VIDEO), (many, OK)]


def _join(path: Path, pictures: list[Image]) -> Path:
    """Write JPEG pictures one behind the other, each of its own size."""
    data = b""
    for picture in pictures:
        encoder = av.CodecContext.create("mjpeg", "w")
        encoder.height, encoder.width = picture.shape[:2]
        encoder.pix_fmt, encoder.time_base = "yuvj420p", Fraction(1, 25)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuvj420p")
        frame.pts = 0
        data += b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
    path.write_bytes(data)
    return path


def _picture_bomb(path: Path, frames: list[Image]) -> Path:
    """Write PNG pictures in a container that says 240 px, and say 60,000 px in the pictures themselves."""
    write_odd(path, frames, "png", "rgb24")
    data = bytearray(path.read_bytes())
    place = data.find(b"IHDR")
    while place >= 0:
        struct.pack_into(">II", data, place + 4, 60_000, 60_000)
        struct.pack_into(">I", data, place + 17, zlib.crc32(data[place : place + 17]))
        place = data.find(b"IHDR", place + 4)
    path.write_bytes(data)
    return path


def _gif_of_specks(path: Path, width: int, height: int, count: int) -> Path:
    """Write a GIF of few bytes whose every frame changes one pixel of a large picture."""
    header = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(3) + b"\xff" * 3
    specks = b"".join(
        # a delay of 40 ms; one pixel at x = tick; clear, colour 1, end, as LZW codes of 3 bits
        b"\x21\xf9\x04\x04\x04\0\0\0"
        + struct.pack("<BHHHHB", 0x2C, tick, tick, 1, 1, 0)
        + b"\x02\x02\x4c\x01\0"
        for tick in range(count)
    )
    path.write_bytes(header + specks + b";")
    return path


def _size_beside_the_stream(path: Path) -> Path:
    """Write pictures of 16,384 px in a file whose header says 64 px."""
    write_odd(path, [np.full((16, 16384, 3), 90, np.uint8)] * 6, "mjpeg", "yuvj420p")
    data = path.read_bytes().replace(struct.pack("<I", 16384), struct.pack("<I", 64))
    path.write_bytes(data)
    return path
