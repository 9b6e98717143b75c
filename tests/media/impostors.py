"""What is no video: other kinds of files, lists of other files, and places that are no files."""

from __future__ import annotations

import gzip
import io
import os
import socket
import struct
import wave
import zipfile
import zlib
from pathlib import Path

import av
import numpy as np


def write_impostors(folder: Path, mp4: Path) -> list[Path]:
    """Write files of other kinds under a video's name; return them."""
    rng = np.random.default_rng(3)
    text = b"It was a bright cold day in April.\n" * 3000
    zeros = bytes(64 << 20)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr(zipfile.ZipInfo("bomb.mp4"), zeros)
    sound = io.BytesIO()
    with wave.open(sound, "wb") as track:
        track.setnchannels(1)
        track.setsampwidth(2)
        track.setframerate(8000)
        track.writeframes(bytes(16000))
    contents = {
        "empty.mp4": b"",
        "one-byte.mp4": b"\0",
        "zeros.mp4": bytes(1 << 20),
        "ones.mp4": b"\xff" * (1 << 20),
        "noise.mp4": rng.integers(0, 256, 1 << 20, dtype=np.uint8).tobytes(),
        **{
            f"text.{ending}": text
            for ending in ("mp4", "mkv", "avi", "ts", "mpg", "flv", "webm", "gif", "mov")
        },
        "page.mp4": b"<!doctype html><video src='http://127.0.0.1/a.mp4'></video>",
        "document.mp4": b"%PDF-1.7\n" + text,
        "script.mp4": b"#!/bin/sh\ntouch /tmp/flowtell-was-here\n",
        "program.mp4": b"\x7fELF" + bytes(2000),
        "pickle.mp4": b"\x80\x04\x95" + bytes(100),
        "zip-bomb.mp4": archive.getvalue(),
        "gzip-bomb.mp4": gzip.compress(zeros, mtime=0),
        "zipped-video.mp4": gzip.compress(mp4.read_bytes(), mtime=0),
        "picture-bomb.png": _png(60_000, 60_000, bytes(60_000)),
        "gif-bomb.gif": b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0x80, 0, 0) + bytes(6) + b",",
        "sound.wav": sound.getvalue(),
        "sound.mp4": sound.getvalue(),
        "subtitles.mp4": b"1\n00:00:00,000 --> 08:00:00,000\nhello\n",
        "ebml-alone.mkv": bytes.fromhex("1a45dfa301ffffffffffffff"),
        "riff-alone.avi": b"RIFF\xff\xff\xff\xffAVI ",
        "flv-alone.flv": b"FLV\x01\x01\0\0\0\x09\0\0\0\0",
        "transport-of-nothing.ts": (b"\x47\x1f\xff\x10" + b"\xff" * 184) * 5000,
        "endless-headers.y4m": b"YUV4MPEG2 W16 H16 F25:1 " + b"X" * (1 << 20),
        "raw-of-16k.y4m": b"YUV4MPEG2 W16384 H16384 F25:1 C420\nFRAME\n",
    }
    return [*_write_all(folder, contents), _sound_only(folder / "sound-only.m4a")]


def write_playlists(folder: Path, mp4: Path) -> list[Path]:
    """Write files that name others, this machine's or the network's; return them."""
    video = mp4.absolute()
    uri = f"file://{video}"
    hls = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n{0}#EXTINF:1.6,\n{1}\n#EXT-X-ENDLIST\n"
    key = '#EXT-X-KEY:METHOD=AES-128,URI="file:///etc/passwd",IV=0x0\n'
    sdp = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
    reference = b"rdrf" + bytes(4) + b"url " + struct.pack(">I", len(uri) + 1) + uri.encode() + b"\0"
    contents = {
        "hls.m3u8": hls.format("", video),
        "hls.mp4": hls.format("", video),
        "hls-relative.m3u8": hls.format("", "../whole/libx264.mp4"),
        "hls-network.m3u8": hls.format("", "http://127.0.0.1:9/a.ts"),
        "hls-data.m3u8": hls.format("", "data:video/mp4;base64,AAAA"),
        "hls-key.m3u8": hls.format(key, video),
        "hls-concat.m3u8": hls.format("", f"concat:{video}|/etc/passwd"),
        "hls-subfile.m3u8": hls.format("", f"subfile,,start,0,end,99,,:{video}"),
        "list.ffconcat": f"ffconcat version 1.0\nfile '{video}'\n",
        "concat.mp4": f"ffconcat version 1.0\nfile '{video}'\n",
        "concat.txt": f"file '{video}'\n",
        "stream.sdp": sdp + "a=rtpmap:96 H264/90000\n",
        "stream.mp4": sdp + "a=rtpmap:96 H264/90000\n",
        "list.pls": f"[playlist]\nFile1={uri}\nNumberOfEntries=1\n",
        "list.asx": f'<asx version="3.0"><entry><ref href="{uri}"/></entry></asx>',
        "list.ram": f"{uri}\n",
        "list.xspf": f"<playlist><trackList><track><location>{uri}</location></track></trackList></playlist>",
        "dash.mpd": f'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{uri}</BaseURL></MPD>',
        "link.url": f"[InternetShortcut]\nURL={uri}\n",
        "pictures%03d.png": "x",
        "metadata.mp4": ";FFMETADATA1\ntitle=x\n",
    }
    quicktime = _box(b"ftyp", b"qt  " + bytes(4)) + _box(
        b"moov", _box(b"rmra", _box(b"rmda", _box(b"rdrf", reference[4:])))
    )
    data = {name: text.encode() for name, text in contents.items()} | {"reference.mov": quicktime}
    return _write_all(folder, data)


def make_places(folder: Path, mp4: Path) -> list[Path]:
    """Make what has a name but is no file; return the names, and one that nothing has."""
    folder.mkdir(parents=True)
    (folder / "folder.mp4").mkdir()
    os.mkfifo(folder / "pipe.mp4")
    links = {
        "dangling.mp4": "nowhere",
        "loop.mp4": "loop.mp4",
        "to-folder.mp4": ".",
        "to-pipe.mp4": "pipe.mp4",
        "zeros.mp4": "/dev/zero",
        "null.mp4": "/dev/null",
        "random.mp4": "/dev/urandom",
        "terminal.mp4": "/dev/tty",
        "memory.mp4": "/proc/self/mem",
        "own-input.mp4": "/dev/stdin",
        "settings.mp4": "/etc/hostname",
    }
    for name, target in links.items():
        (folder / name).symlink_to(target)
    with socket.socket(socket.AF_UNIX) as listener:
        # the name of a socket is at most 107 bytes long, whatever the folder's is
        here = Path.cwd()
        os.chdir(folder)
        try:
            listener.bind("socket.mp4")
        finally:
            os.chdir(here)
    absent = [folder / "absent.mp4", folder / ("x" * 300), folder / "folder.mp4" / "b.mp4"]
    return [*sorted(folder.iterdir()), *absent]


def write_names(folder: Path, mp4: Path) -> list[Path]:
    """Write a good video under names that mean something elsewhere; return the files."""
    names = [
        "concat:a.mp4|b.mp4",
        "http:a.mp4",
        "pipe:0",
        "-",
        "-i",
        "%03d.mp4",
        "data:video,a",
        "subfile,,start,0,end,100,,:a",
        "cache:a.mp4",
        "two\nlines.mp4",
        "\x1b[31mred.mp4",
        "m\u00e4rz \u2603.mp4",
        "l" * 251 + ".mp4",
        os.fsdecode(b"\xff\xfe.mp4"),
        "film.m3u8",
        "film.txt",
        "film.png",
        "film",
    ]
    data = mp4.read_bytes()
    paths = _write_all(folder, dict.fromkeys(names, data))
    link = folder / "link.mp4"
    link.symlink_to(mp4)
    return [*paths, link]


def _write_all(folder: Path, contents: dict[str, bytes]) -> list[Path]:
    folder.mkdir(parents=True)
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in contents]


def _png(width: int, height: int, pixels: bytes) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(pixels))
        + chunk(b"IEND", b"")
    )


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def _sound_only(path: Path) -> Path:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
