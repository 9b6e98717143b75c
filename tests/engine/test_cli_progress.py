"""The bar on a real terminal, one that goes away in the middle of a run too."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time

import pytest

from flowtell import Progress, samples
from flowtell._cli_progress import ProgressBar, TerminalLine, progress_line

pytestmark = pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no pseudo-terminals here")


def test_a_terminal_that_goes_away_ends_the_drawing_and_nothing_else():
    user, program = os.openpty()
    with os.fdopen(program, "w") as terminal, ProgressBar(terminal, ["a.mp4", "b.mp4"]) as bar:
        bar(0, Progress(2.0, 8.0, 3, 1))
        assert b"a.mp4" in os.read(user, 4096)
        os.close(user)
        with bar.next_file():
            pass
        bar(1, Progress(2.0, 8.0, 3, 1))
        with bar.next_file():
            pass


def test_a_run_outlives_its_terminal(motion_bundle):
    user, program = os.openpty()
    words = ["detect", *[str(samples.natural_path())] * 4, "--clips", "1", "--bundle", str(motion_bundle)]
    with subprocess.Popen(
        [sys.executable, "-m", "flowtell", *words], stdout=subprocess.PIPE, stderr=program, text=True
    ) as process:
        os.close(program)
        # it is drawn on before it goes: later it would not be a terminal
        assert os.read(user, 4096)
        os.close(user)
        out, _ = process.communicate(timeout=120)
    assert out.count("16 of 96") == 4
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("columns", "text", "shown"),
    [
        (50, 60 * "a", 49 * "a"),
        (50, 30 * "\u5bb6", 24 * "\u5bb6"),
        # a mark is drawn over what it follows
        (4, "ne\u0301e\u0301es", "ne\u0301e\u0301"),
        # what nobody told the terminal it does not know
        (0, 90 * "a", 79 * "a"),
    ],
)
def test_a_line_is_as_wide_as_its_own_terminal(columns, text, shown):
    """Standard output may be a file, and another one a terminal of another width."""
    fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
    user, program = os.openpty()
    fcntl.ioctl(program, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with os.fdopen(program, "w", encoding="utf-8") as terminal:
        TerminalLine(terminal).draw(lambda: text)
        assert os.read(user, 4096).decode() == f"\r\x1b[2K{shown}"
    os.close(user)


def test_time_left_counts_from_when_a_file_was_begun(monkeypatch):
    """The second file is read while the first still is."""
    user, program = os.openpty()
    now_s = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now_s[0])
    with os.fdopen(program, "w") as terminal, ProgressBar(terminal, ["a.mp4", "b.mp4"]) as bar:
        bar(1, Progress(0.0, 8.0, 0, 0))
        now_s[0] += 60
        with bar.next_file():
            pass
        bar(1, Progress(2.0, 8.0, 3, 1))
        assert b"180 s left" in os.read(user, 4096)
    os.close(user)


@pytest.mark.parametrize(
    ("progress", "elapsed_s", "says"),
    [
        (Progress(2.0, 8.0, 3, 1), 10.0, "a  [######------------------]  25 %  1/3 clips judged  30 s left"),
        (Progress(8.0, 8.0, 3, 3), 10.0, "a  [########################] 100 %  3/3 clips judged"),
        (Progress(9.0, 8.0, 3, 3), 10.0, "a  9 s read  3/3 clips judged"),
        (Progress(9.0, None, 3, 2), 10.0, "a  9 s read  2/3 clips judged"),
        (Progress(-0.1, 8.0, 0, 0), 0.1, "a  [------------------------]   0 %  0/0 clips judged"),
    ],
)
def test_the_bar_says_how_far_and_how_long_only_where_it_knows(progress, elapsed_s, says):
    assert progress_line("a", progress, elapsed_s) == says
