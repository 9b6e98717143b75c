"""A process that has no more files to open: a decoder is refused in a sentence, and nothing stays open."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from flowtell._descriptors import sealed_memory

SHORT_OF_FILES = """
import errno, os, resource
from flowtell import IsolationError
from flowtell._decoder_process import DecoderPool

MOST = 64
resource.setrlimit(resource.RLIMIT_NOFILE, (MOST, MOST))

def opened():
    found = set()
    for number in range(MOST):
        try:
            os.fstat(number)
        except OSError:
            continue
        found.add(number)
    return found

fillers = []
try:
    while True:
        fillers.append(os.open(os.devnull, os.O_RDONLY))
except OSError as error:
    assert error.errno == errno.EMFILE
for left in range(12):
    before = opened()
    assert len(before) == MOST - left
    pool = DecoderPool()
    try:
        decoder = pool.take()
    except IsolationError as error:
        print(left, error)
    else:
        decoder.kill()
        print(left, "starts")
    assert opened() == before, (left, opened() ^ before)
    os.close(fillers.pop())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="decoders are processes of their own on Linux only")
def test_too_few_files_are_a_sentence_and_leave_none_open():
    command = [sys.executable, "-W", "always::ResourceWarning", "-c", SHORT_OF_FILES]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert len(said) == 12
    assert said["11"] == "starts"
    refusals = {words for words in said.values() if words != "starts"}
    assert said["0"] in refusals
    assert refusals == {
        "no process that decodes videos can be started, as it needs a few more open files (Too many open "
        "files): close some, or raise the limit on them (ulimit -n)"
    }


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has memory without a name")
def test_a_python_that_does_not_name_linux_memory_has_it_all_the_same(monkeypatch):
    monkeypatch.delattr(os, "memfd_create")
    memory = sealed_memory(4096)
    try:
        assert os.fstat(memory).st_size == 4096
        with pytest.raises(PermissionError):
            os.ftruncate(memory, 0)
    finally:
        os.close(memory)
