"""Names that mean another file in every process: the decoder gets the file that the caller means."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flowtell import DecodeError, samples
from flowtell._frames import open_frames

NATURAL = samples.natural_path()

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")


def count(path):
    with open_frames(path) as source:
        return sum(1 for _ in source)


@pytest.mark.parametrize("name", ["/dev/stdin", "/proc/self/fd/0", "/dev/fd/0"])
def test_a_file_may_be_standard_input(motion_bundle, name):
    words = ["detect", name, "--clips", "1", "--bundle", str(motion_bundle)]
    with NATURAL.open("rb") as video:
        done = subprocess.run(
            [sys.executable, "-m", "flowtell", *words],
            stdin=video,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert name in done.stdout
    assert "16 of 96" in done.stdout


def test_an_open_file_is_read_from_its_beginning():
    with NATURAL.open("rb") as video:
        video.read()
        assert count(f"/proc/self/fd/{video.fileno()}") == count(NATURAL) == 97


def test_a_link_may_lead_to_an_open_file(tmp_path):
    with NATURAL.open("rb") as video:
        (tmp_path / "one.mp4").symlink_to(f"/proc/self/fd/{video.fileno()}")
        (tmp_path / "two.mp4").symlink_to("one.mp4")
        (tmp_path / "open").symlink_to("/proc/self/fd")
        for name in (tmp_path / "two.mp4", tmp_path / "open" / str(video.fileno())):
            assert count(name) == 97


def test_a_link_in_a_circle_is_undecodable(tmp_path):
    (tmp_path / "a.mp4").symlink_to("b.mp4")
    (tmp_path / "b.mp4").symlink_to("a.mp4")
    with pytest.raises(DecodeError) as caught:
        count(tmp_path / "a.mp4")
    assert caught.value.state == "undecodable"


def test_a_file_without_a_name_is_undecodable_and_says_so(tmp_path):
    path = Path(shutil.copy(NATURAL, tmp_path / "a.mp4"))
    with path.open("rb") as video:
        path.unlink()
        name = f"/proc/self/fd/{video.fileno()}"
        # another file under the name that was removed, as Linux shows it
        shutil.copy(NATURAL, tmp_path / "a.mp4 (deleted)")
        with pytest.raises(DecodeError) as caught:
            count(name)
    assert caught.value.state == "undecodable"
    assert str(caught.value) == (
        f"'{name}' has no name by which another process could open it: give a file with one"
    )
