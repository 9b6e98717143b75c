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


CLOSE_IN_A_FORK = """import os, signal, sys
import flowtell
detector = flowtell.Detector.open(sys.argv[1], provider="cpu", threads=1)
stream = detector.stream()
# as a thread that the fork does not have might hold them
with detector._pool._changed, detector._cores._changed:
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        stream.close()
        detector.close()
        os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_closes_what_its_parent_has_in_use_without_waiting(tiny_bundle):
    command = [sys.executable, "-W", "ignore", "-c", CLOSE_IN_A_FORK, str(tiny_bundle)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "7\n"
