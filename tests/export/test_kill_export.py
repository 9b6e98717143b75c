"""`flowtell export`, killed: twice here, `python tests/kill_export.py` does it twenty times."""

from __future__ import annotations

import sys

import pytest
from kill_export import kill_exports


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_export_leaves_the_old_bundle_or_none(tmp_path):
    report = kill_exports(tmp_path, kills=2, seed=1, only_while_filling=True)
    assert report.wrong == []
    assert report.killed_while_filling >= 1, "no kill met an export at work"
    assert report.old_stayed + report.new_was_whole + report.absent == 2 + report.ended_first
