"""What a file leaves free in the allocator goes back to the system."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from flowtell._heap import HeapTrimmer, _trim_of_library

pytestmark = pytest.mark.skipif(_trim_of_library() is None, reason="this C library has no malloc_trim")

SETUP = """
    import os
    import sys
    import numpy as np
    import flowtell.samples
    from flowtell._heap import HeapTrimmer

    def resident_mb():
        return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    # 200 MB of blocks that the allocator takes from its heap, each before one that stays
    blocks = [(np.ones(100_000, np.uint8), np.ones(2000, np.uint8)) for _ in range(2000)]
    kept = [small for _, small in blocks]
    del blocks
"""


def printed_by(code: str, *arguments: str) -> list[str]:
    """Run code after SETUP in a process of its own, whose heap nobody else touches."""
    script = textwrap.dedent(SETUP) + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_what_lies_free_between_what_stays_goes_back():
    before, after = map(float, printed_by("""
        print(resident_mb())
        assert HeapTrimmer(10).trim()
        print(resident_mb())
    """))  # fmt: skip
    assert before - after > 150


def test_it_goes_back_after_a_file(tiny_bundle: Path):
    before, after = map(float, printed_by("""
        with flowtell.Detector.open(sys.argv[1]) as detector:
            print(resident_mb())
            detector.detect(flowtell.samples.natural_path(), max_clips=1)
            print(resident_mb())
    """, str(tiny_bundle)))  # fmt: skip
    assert before - after > 100


def test_it_pauses():
    trimmer = HeapTrimmer(pause_s=3600)
    assert [trimmer.trim() for _ in range(3)] == [True, False, False]
    assert HeapTrimmer(pause_s=0).trim()
