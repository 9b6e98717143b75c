"""The bar on a real terminal, one that goes away in the middle of a run too."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from flowtell import Progress, samples
from flowtell._cli_progress import ProgressBar

pytestmark = pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no pseudo-terminals here")


def test_a_terminal_that_goes_away_ends_the_drawing_and_nothing_else():
    user, program = os.openpty()
    with os.fdopen(program, "w") as terminal, ProgressBar(terminal, ["a.mp4", "b.mp4"]) as bar:
        bar(0, Progress(2.0, 8.0, 3, 1))
        assert b"a.mp4" in os.read(user, 4096)
        os.close(user)
        bar.next_file()
        bar(1, Progress(2.0, 8.0, 3, 1))
        bar.next_file()


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
