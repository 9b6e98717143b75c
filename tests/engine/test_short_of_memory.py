"""A host that has no memory left for a file's frames: a state of that file, like any other."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

KEEPS_ALL = """
import resource, sys
from flowtell import DecodeError
from flowtell._frames import open_frames

with open_frames(sys.argv[1]) as source:
    frames = iter(source)
    kept = [next(frames)]
    pages = int(open("/proc/self/statm").read().split()[0])
    most = pages * resource.getpagesize() + int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
    try:
        kept += frames
    except DecodeError as error:
        print(f"{error.state} after {len(kept)}: {error}")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is limited as Linux does it")
def test_no_memory_for_frames_is_a_state_of_the_file(write_video):
    path = write_video(
        "large.mp4", 8 * [np.zeros((3000, 4000, 3), np.uint8)], options={"preset": "ultrafast"}
    )
    command = [sys.executable, "-c", KEEPS_ALL, str(path), str(40_000_000)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("too_large after ")
    assert done.stdout.endswith(": there is no memory for its frames of 4000x3000 px\n")
