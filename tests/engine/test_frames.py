"""Videos decoded by another process: the same frames, and whatever happens there is a state of one file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from processes import state_of

from flowtell import DecodeError, InputError, IsolationError, samples
from flowtell._decode import VideoReader
from flowtell._decode_limits import DecodeLimits
from flowtell._decoder_protocol import MessageBuffer
from flowtell._frames import open_frames
from flowtell._interpreters import DECODER_VARIABLE
from flowtell._landlock import TCP_SINCE

pytestmark = pytest.mark.usefixtures("fresh_decoders")


def read(path, limits=None):
    with open_frames(path, limits) as source:
        return list(source)


def broken(path, state, limits=None):
    """Read to the error; return (good frames, its sentence)."""
    got = []
    with pytest.raises(DecodeError) as caught, open_frames(path, limits) as source:
        got.extend(source)
    assert caught.value.state == state
    assert "\n" not in str(caught.value)
    return got, str(caught.value)


def same(got, want):
    return len(got) == len(want) and all(
        a.time_s == b.time_s and np.array_equal(a.image, b.image) for a, b in zip(got, want, strict=True)
    )


def noise(count, height=72, width=96, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(count)]


@pytest.mark.parametrize("sample", [samples.natural_path, samples.swapped_path])
def test_frames_are_those_of_the_reader_in_this_process(sample):
    with VideoReader(sample()) as reader:
        want, duration_s = list(reader), reader.duration_s
    with open_frames(sample()) as source:
        got = list(source)
        assert source.duration_s == duration_s
    assert same(got, want)


def test_frames_outlive_their_place_in_the_ring(write_video):
    pictures = noise(40)
    path = write_video("a.mkv", pictures, codec="ffv1", pix_fmt="bgr0")
    for frame, picture in zip(read(path), pictures, strict=True):
        assert np.array_equal(frame.image, picture)
        assert frame.image.flags.writeable
        assert frame.image.flags.c_contiguous


def test_one_decoder_serves_file_after_file(write_video):
    path = write_video("a.mp4", noise(3))
    pids = set()
    for _ in range(3):
        with open_frames(path) as source:
            pids.add(source._decoder.pid)
            list(source)
    assert len(pids) == 1


def test_a_file_that_is_left_early_leaves_a_decoder_fit_for_the_next(write_video):
    path = write_video("a.mp4", noise(60))
    with open_frames(path) as source:
        first = next(iter(source))
        pid = source._decoder.pid
    with open_frames(path) as source:
        assert source._decoder.pid == pid
        assert np.array_equal(next(iter(source)).image, first.image)


def test_the_decoder_works_ahead_as_far_as_the_ring_reaches_and_waits(write_video):
    path = write_video("a.mp4", noise(60))
    with open_frames(path) as source:
        iterator = iter(source)
        next(iterator)
        deadline = time.monotonic() + 20
        while state_of(source._decoder.pid) != "S" and time.monotonic() < deadline:
            time.sleep(0.01)
        assert state_of(source._decoder.pid) == "S"
        assert len(list(iterator)) == 59


def test_a_decoder_that_is_killed_is_a_state_of_its_file_alone(write_video):
    path = write_video("a.mp4", noise(60))
    want = read(path)
    with pytest.raises(DecodeError) as caught, open_frames(path) as source:
        got = []
        for frame in source:
            got.append(frame)
            if len(got) == 20:
                os.kill(source._decoder.pid, signal.SIGKILL)
    assert caught.value.state == "truncated"
    assert "SIGKILL" in str(caught.value)
    assert 20 <= len(got) < 60
    assert same(got, want[: len(got)])
    assert same(read(path), want)


def test_a_decoder_that_is_killed_before_a_frame_makes_its_file_undecodable(write_video):
    path = write_video("a.mp4", noise(3))
    source = open_frames(path)
    source._decoder._process.kill()
    source._decoder._process.wait()
    # what it had said before is lost with it
    source._decoder._connection.recv(1 << 20)
    source._decoder._buffer = MessageBuffer()
    with source, pytest.raises(DecodeError) as caught:
        list(source)
    assert caught.value.state == "undecodable"
    assert len(read(path)) == 3


@pytest.mark.parametrize(("end", "said"), [("kill -9 $$", "SIGKILL"), ("exit 1", "code 1")])
def test_decoders_that_end_at_every_start_cost_one_file(write_video, tmp_path, monkeypatch, end, said):
    path = write_video("a.mp4", noise(3))
    deadly, python = tmp_path / "deadly", tmp_path / "python"
    python.write_text(f'#!/bin/sh\n[ -e "{deadly}" ] && {end}\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    monkeypatch.setenv(DECODER_VARIABLE, str(python))
    # while a file is open the next needs a decoder of its own
    with open_frames(path):
        deadly.touch()
        with pytest.raises(DecodeError, match=f"at every start: .*{said}") as caught:
            open_frames(path)
    assert caught.value.state == "undecodable"
    deadly.unlink()
    assert len(read(path)) == 3


def test_a_decoder_that_hangs_is_timed_out_and_replaced(write_video):
    path = write_video("a.mp4", noise(60))
    with pytest.raises(DecodeError) as caught, open_frames(path, DecodeLimits(frame_s=0.5)) as source:
        for _ in source:
            os.kill(source._decoder.pid, signal.SIGSTOP)
    assert caught.value.state == "timed_out"
    assert "0.5 s" in str(caught.value)
    assert len(read(path)) == 60


def test_time_for_a_whole_file_is_limited_and_the_callers_own_does_not_count(write_video):
    path = write_video("a.mp4", noise(60))
    with open_frames(path, DecodeLimits(file_s=2.0)) as source:
        for index, _ in enumerate(source):
            if index == 0:
                time.sleep(2.5)
    got, sentence = broken(path, "timed_out", DecodeLimits(file_s=1e-6))
    assert not got
    assert "longer than 1e-06 s" in sentence


def test_memory_is_limited(write_video):
    path = write_video("a.mkv", noise(2, 1500, 2000), codec="ffv1", pix_fmt="bgr0")
    got, sentence = broken(path, "too_large", DecodeLimits(memory_bytes=32 << 20))
    assert not got
    assert "memory" in sentence
    assert len(read(path)) == 2


def test_limits_out_of_range_are_refused():
    for wrong in ({"frame_s": 0}, {"cpu_s": float("nan")}, {"memory_bytes": 1.5}, {"file_s": "4"}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            DecodeLimits(**wrong)


def test_many_threads_read_many_files(write_video):
    paths = [write_video(f"{seed}.mp4", noise(20, seed=seed)) for seed in range(6)]
    want = [read(path) for path in paths]
    with ThreadPoolExecutor(6) as threads:
        for got, wanted in zip(threads.map(read, paths * 3), want * 3, strict=True):
            assert same(got, wanted)


def test_errors_before_the_decoder_name_the_path_as_it_was_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.mp4")
    assert broken("nowhere.mp4", "undecodable")[1] == "'nowhere.mp4' does not exist"
    assert broken("pipe.mp4", "undecodable")[1] == "'pipe.mp4' is not a file"
    assert broken(".", "undecodable")[1] == "'.' is a folder: name the videos in it"
    assert broken("", "undecodable")[1] == "'' is not a file"
    broken("a\0b", "undecodable")
    broken("x" * 5000, "undecodable")


def test_a_relative_path_is_the_callers(write_video, tmp_path, monkeypatch):
    path = write_video("a.mp4", noise(3))
    read(path)
    monkeypatch.chdir(tmp_path)
    assert len(read("a.mp4")) == 3


def test_decoders_end_with_their_caller_even_if_it_is_killed(write_video):
    path = write_video("a.mp4", noise(60))
    code = (
        "import sys, time\nfrom flowtell._frames import open_frames\n"
        "sources = [open_frames(sys.argv[1]) for _ in range(3)]\n"
        "iterators = [iter(source) for source in sources]\n"
        "for iterator in iterators: next(iterator)\n"
        "sources[0].__exit__()\n"
        "print(*[source._decoder.pid for source in sources], flush=True)\ntime.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) as host:
        pids = [int(word) for word in host.stdout.readline().split()]
        assert len(pids) == 3
        host.kill()
    deadline = time.monotonic() + 20
    while any(state_of(pid) not in ("", "Z") for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(state_of(pid) not in ("", "Z") for pid in pids)


def test_no_shared_memory_has_a_name(write_video):
    before = set(Path("/dev/shm").iterdir())
    with open_frames(write_video("a.mp4", noise(9))) as source:
        next(iter(source))
        assert set(Path("/dev/shm").iterdir()) == before


def test_a_decoder_knows_no_secrets_and_writes_nothing(write_video):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SECRET_TOKEN", "1234")
        with open_frames(write_video("a.mp4", noise(9))) as source:
            next(iter(source))
            process = Path(f"/proc/{source._decoder.pid}")
            assert b"SECRET_TOKEN" not in (process / "environ").read_bytes()
            limits = (process / "limits").read_text()
    for name in ("core file size", "file size", "processes"):
        (line,) = (line for line in limits.splitlines() if line.startswith(f"Max {name} "))
        assert line.removeprefix(f"Max {name}").split()[:2] == ["0", "0"]


def test_a_decoder_may_read_and_nothing_else(tmp_path):
    code = (
        "import os, socket, sys\nfrom flowtell._landlock import give_up_rights\n"
        "server = socket.create_server(('127.0.0.1', 0))\n"
        "print(give_up_rights())\n"
        "def refused(act):\n    try: act()\n    except PermissionError: print('refused')\n"
        "place = sys.argv[1]\n"
        "refused(lambda: open(place + '/new', 'w'))\n"
        "refused(lambda: open(place + '/old', 'a'))\n"
        "refused(lambda: os.unlink(place + '/old'))\n"
        "refused(lambda: os.mkdir(place + '/folder'))\n"
        "refused(lambda: os.execv('/bin/true', ['true']))\n"
        "refused(lambda: socket.create_connection(server.getsockname()))\n"
        "print(open(place + '/old').read())"
    )
    (tmp_path / "old").write_text("still here")
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    version, *refused, last = done.stdout.splitlines()
    assert last == "still here"
    if int(version) < TCP_SINCE:
        pytest.skip(f"this kernel's Landlock is of version {version}, and TCP came with {TCP_SINCE}")
    assert refused == ["refused"] * 6
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def status_of(code, path):
    """Run Python code in a host of its own, `path` its argument; return how it ended."""
    return subprocess.run([sys.executable, "-c", code, str(path)], check=False, timeout=120).returncode


FORK_BETWEEN_FILES = """import os, sys
from flowtell._frames import open_frames
def count():
    with open_frames(sys.argv[1]) as source: return len(list(source))
assert count() == 60
child = os.fork()
assert count() == 60
if child == 0: os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert count() == 60
"""
FORK_WITHIN_A_FILE = """import os, sys
from flowtell import DecodeError
from flowtell._frames import open_frames
with open_frames(sys.argv[1]) as source:
    frames = iter(source)
    next(frames)
    child = os.fork()
    if child == 0:
        try:
            next(frames)
        except DecodeError as error:
            assert "forked" in str(error)
            sys.exit(0)
        sys.exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert len(list(frames)) == 59
"""


@pytest.mark.parametrize("code", [FORK_BETWEEN_FILES, FORK_WITHIN_A_FILE], ids=["between", "within"])
def test_a_fork_leaves_its_parents_decoders_alone(write_video, code):
    assert status_of(code, write_video("a.mp4", noise(60))) == 0


def test_a_host_without_standard_streams_decodes(write_video):
    path = write_video("a.mp4", noise(9))
    code = (
        "import os, sys\nos.closerange(0, 3)\nfrom flowtell._frames import open_frames\n"
        "with open_frames(sys.argv[1]) as source: count = len(list(source))\nos._exit(count)\n"
    )
    assert status_of(code, path) == 9


def test_a_host_that_names_no_usable_python_is_told_what_to_do(monkeypatch, write_video):
    path = write_video("a.mp4", noise(2))
    monkeypatch.setenv(DECODER_VARIABLE, "/bin/false")
    with pytest.raises(IsolationError, match=DECODER_VARIABLE):
        open_frames(path)
    monkeypatch.setenv(DECODER_VARIABLE, sys.executable)
    assert len(read(path)) == 2


def test_decoding_in_process_is_a_choice(monkeypatch, write_video):
    path = write_video("a.mp4", noise(2))
    monkeypatch.setenv(DECODER_VARIABLE, "in-process")
    assert isinstance(open_frames(path), VideoReader)


def test_a_system_without_isolation_says_so(monkeypatch, write_video):
    path = write_video("a.mp4", noise(2))
    monkeypatch.setattr(sys, "platform", "elsewhere")
    with pytest.warns(RuntimeWarning, match="inside this process"):
        assert isinstance(open_frames(path), VideoReader)
