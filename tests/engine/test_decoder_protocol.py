"""A decoder that has been taken over says what it likes: nothing of it gets further than one file's state."""

from __future__ import annotations

import struct

import pytest

from flowtell import DecodeError
from flowtell import _decoder_process as process
from flowtell._colour import LAYOUTS
from flowtell._decode_limits import DecodeLimits
from flowtell._decoder_protocol import (
    MAX_PAYLOAD_BYTES,
    MAX_REASON_BYTES,
    SLOT_BYTES,
    SLOTS,
    Failure,
    FrameNotice,
    Kind,
    MessageBuffer,
    ProtocolError,
    pack,
    slots_for,
)
from flowtell._frames import open_frames
from flowtell._planes import PixelKind

pytestmark = pytest.mark.usefixtures("fresh_decoders")

TAKEN_OVER = """
import json, mmap, os, socket, struct, sys, time
connection, ring = (int(number) for number in json.loads(sys.argv[1])["fds"])
connection = socket.socket(fileno=connection)
def say(kind, payload=b""):
    connection.sendall(struct.pack("<BI", kind, len(payload)) + payload)
def frame(slot, height, width, time_s, layout=0, matrix=0, levels=0, siting=0, orientation=0):
    pixels = layout, matrix, levels, siting, orientation
    say(4, struct.pack("<IIIdBBBBB", slot, height, width, time_s, *pixels))
say(1, b"flowtell decoder 2\\0")
connection.recv(9999)
{behaviour}
time.sleep(600)
"""
OPENED = "say(3, struct.pack('<d', 2.0))\n"

BEHAVIOURS = {
    "noise": "connection.sendall(bytes(range(256)) * 40)",
    "a long message": "connection.sendall(struct.pack('<BI', 4, 0xFFFFFFFF))",
    "an unknown kind": "say(77)",
    "half a message": "connection.sendall(b'\\3\\xff'); connection.close(); os._exit(0)",
    "silence": "connection.close(); time.sleep(600)",
    "out of turn": "say(9)",
    "a slot that is none": OPENED + f"frame({SLOTS}, 2, 2, 0.0)",
    "a frame too wide": OPENED + "frame(0, 2, 8193, 0.0)",
    "a frame too large": OPENED + "frame(0, 8192, 8192, 0.0)",
    "a frame of nothing": OPENED + "frame(0, 0, 5, 0.0)",
    "a frame at no time": OPENED + "frame(0, 2, 2, float('nan'))",
    "pixels of no kind": OPENED + "frame(0, 2, 2, 0.0, layout=7)",
    "chroma that lies nowhere": OPENED + "frame(0, 2, 2, 0.0, layout=1, siting=7)",
    "an unknown orientation": OPENED + "frame(0, 2, 2, 0.0, layout=1, orientation=8)",
    "a time beyond any clock": OPENED + "frame(0, 2, 2, -1e308)",
    "a matrix that is none": OPENED + "frame(0, 2, 2, 0.0, layout=1, matrix=3)",
    "levels that are none": OPENED + "frame(0, 2, 2, 0.0, layout=1, levels=3)",
    "planes of an odd height": OPENED + "frame(0, 3, 2, 0.0, layout=1)",
    "planes of an odd width": OPENED + "frame(0, 2, 3, 0.0, layout=1)",
    "half a frame": OPENED + "say(4, b'1234')",
    "a state that is none": "say(7, b'\\x63why')",
    "no reason": "say(7, b'\\0')",
    "an end by a signal": "os.kill(os.getpid(), 11)",
    "an exit": OPENED + "os._exit(7)",
}


@pytest.fixture
def taken_over(monkeypatch):
    """Return `use(behaviour)`: decoders that start from then on behave so; `use(None)` ends that."""
    real = process._BOOT

    def use(behaviour):
        script = real if behaviour is None else TAKEN_OVER.replace("{behaviour}", behaviour)
        monkeypatch.setattr(process, "_BOOT", script)

    return use


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_what_cannot_be_right_is_the_state_of_one_file(taken_over, write_video, portrait, name):
    path = write_video("a.mp4", [portrait] * 3)
    taken_over(BEHAVIOURS[name])
    with pytest.raises(DecodeError) as caught, open_frames(path, DecodeLimits(frame_s=20)) as source:
        list(source)
    assert caught.value.state == "undecodable"
    assert str(caught.value).isprintable()
    taken_over(None)
    with open_frames(path) as source:
        assert len(list(source)) == 3


@pytest.mark.parametrize("layout", range(1, 1 + len(LAYOUTS)))
@pytest.mark.parametrize("orientation", range(8))
def test_planes_of_a_decoder_have_colours_whatever_they_say(
    taken_over, write_video, portrait, layout, orientation
):
    said = [
        f"frame({n}, 4, 6, 0.0, {layout}, {m}, 1, {n}, {orientation})" for n, m in enumerate((0, 2, 7, 9))
    ]
    taken_over(OPENED + "\n".join([*said, "say(6)"]))
    with open_frames(write_video("a.mp4", [portrait])) as source:
        shapes = [frame.image.shape for frame in source]
    assert shapes == [(6, 4, 3) if orientation % 2 else (4, 6, 3)] * 4


def test_frames_without_end_that_nobody_asked_for_do_not_hold_the_caller_up(
    taken_over, write_video, portrait
):
    """It sends and never reads, so that the caller's own words would fill the pipe."""
    taken_over(OPENED + "while True: frame(1, 2, 2, 0.0)")
    path = write_video("a.mp4", [portrait])
    with pytest.raises(DecodeError, match="broke down"), open_frames(path) as source:
        for number, frame in enumerate(source):
            assert frame.image.shape == (2, 2, 3)
            assert number < 1_000_000


def test_the_ring_cannot_be_made_shorter_below_its_reader(taken_over, write_video, portrait):
    shrink = "try: os.ftruncate(ring, 0)\nexcept PermissionError: say(3, struct.pack('<d', 7.0))\n"
    taken_over(shrink + "say(6)")
    with open_frames(write_video("a.mp4", [portrait])) as source:
        assert source.duration_s == 7.0
        assert list(source) == []


def test_a_reason_is_fit_for_a_terminal_and_short():
    failure = Failure.unpack(b"\0" + b"\x1b[31mred\nand \xff\xfe more")
    assert failure.reason.isprintable()
    assert "red" in failure.reason
    with pytest.raises(ProtocolError):
        Failure.unpack(b"\0" + b"x" * (MAX_REASON_BYTES + 1))


def test_messages_come_whole_however_they_are_cut():
    frame = FrameNotice(3, 480, 640, 1.5, PixelKind("yuv422p", 5, 2, "topleft", 3))
    data = pack(Kind.FRAME, frame.pack()) + pack(Kind.ENDED)
    buffer, messages = MessageBuffer(), []
    for place in range(len(data)):
        buffer.feed(data[place : place + 1])
        while message := buffer.next():
            messages.append(message)
    assert [kind for kind, _ in messages] == [Kind.FRAME, Kind.ENDED]
    assert FrameNotice.unpack(messages[0][1]) == frame


def test_a_message_that_is_too_long_is_refused_before_it_has_come():
    buffer = MessageBuffer()
    buffer.feed(struct.pack("<BI", Kind.FAILED, MAX_PAYLOAD_BYTES + 1))
    with pytest.raises(ProtocolError):
        buffer.next()


def test_the_decoder_works_ahead_by_two_to_eight_frames():
    assert slots_for(64 * 64 * 3) == 8
    assert slots_for(1920 * 1080 * 3) == 5
    assert slots_for(SLOT_BYTES) == 2
