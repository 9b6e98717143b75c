"""What a file's last bytes say of whether it is whole."""

from __future__ import annotations

import shutil

import pytest

from flowtell import samples
from flowtell._endings import missing_end
from flowtell._frames import open_frames


@pytest.mark.parametrize("appended", [b"a trailing note of a camera", bytes(range(33, 73)), b"\0" * 3])
def test_what_is_appended_to_an_mp4_and_is_no_box_is_no_damage(tmp_path, appended):
    path = tmp_path / "a.mp4"
    shutil.copy(samples.natural_path(), path)
    with path.open("ab") as file:
        file.write(appended)
    assert missing_end(path, "mov,mp4,m4a,3gp,3g2,mj2") is None
    with open_frames(path) as source:
        assert sum(1 for _ in source) == 97


@pytest.mark.parametrize("kind", [b"free", b"moof", b"uuid"])
def test_a_box_of_an_mp4_that_is_not_whole_is_said(tmp_path, kind):
    path = tmp_path / "a.mp4"
    path.write_bytes(samples.natural_path().read_bytes() + (1000).to_bytes(4, "big") + kind + b"begins")
    assert missing_end(path, "mp4") == "986 bytes are missing at its end"
