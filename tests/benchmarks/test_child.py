"""What is told of a process that died is what it said, not what its libraries log."""

from __future__ import annotations

import sys

import pytest

from flowtell.benchmarks._child import Child

LOGS = "WARNING: All log messages before ...\\nI0000 00:00:1795.43 33 port.cc:153] custom operations are on."


@pytest.mark.parametrize(
    ("says", "words"), [("no such folder", "no such folder"), ("", "it ended with 3")], ids=["words", "none"]
)
def test_last_words_are_the_processes_own(says, words):
    code = f'import sys; print("{says}", file=sys.stderr); print("{LOGS}", file=sys.stderr); sys.exit(3)'
    child = Child([sys.executable, "-c", code])
    assert child.last_words() == words
    child.close()
