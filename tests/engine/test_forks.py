"""A fork that goes on keeps nothing alive of what its parent had in use."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from processes import state_of

from flowtell import samples

FORK_WHILE_A_FILE_IS_READ = """import os, sys, time
from flowtell._frames import open_frames
source = open_frames(sys.argv[1])
next(iter(source))
child = os.fork()
if child == 0:
    time.sleep(600)
print(child, source._decoder.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="decoders are processes of their own on Linux only")
def test_a_decoder_in_use_at_a_fork_ends_with_its_caller():
    command = [sys.executable, "-c", FORK_WHILE_A_FILE_IS_READ, str(samples.natural_path())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as host:
        fork, decoder = (int(word) for word in host.stdout.readline().split())
        host.kill()
        try:
            deadline = time.monotonic() + 20
            while state_of(decoder) not in ("", "Z") and time.monotonic() < deadline:
                time.sleep(0.02)
            assert state_of(fork) not in ("", "Z")
            assert state_of(decoder) in ("", "Z")
        finally:
            os.kill(fork, signal.SIGKILL)
