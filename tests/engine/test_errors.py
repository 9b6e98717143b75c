"""Errors as callers meet them: in another process, too."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import pytest

import flowtell
from flowtell import DecodeError

ERRORS = [
    DecodeError("truncated", "it ends too soon"),
    *(
        getattr(flowtell, name)("words")
        for name in ("BundleError", "FlowtellError", "InputError", "IsolationError", "ProviderError")
    ),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("copied", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_an_error_can_be_copied_and_sent(error, copied):
    other = copied(error)
    assert (type(other), str(other), vars(other)) == (type(error), str(error), vars(error))


POOL = """import sys
from concurrent.futures import ProcessPoolExecutor
import flowtell

def count_clips(path):
    return len(list(flowtell.iter_face_clips(path)))

if __name__ == "__main__":
    with ProcessPoolExecutor(1) as pool:
        futures = [pool.submit(count_clips, path) for path in sys.argv[1:]]
        error = futures[0].exception()
        print(type(error).__name__, error.state, futures[1].result() > 0)
"""


def test_a_broken_file_is_an_error_of_its_own_in_a_pool_of_processes(tmp_path):
    broken, program = tmp_path / "broken.mp4", tmp_path / "pool.py"
    broken.write_text("no video")
    program.write_text(POOL)
    command = [sys.executable, program, broken, flowtell.samples.natural_path()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("DecodeError undecodable True\n", "")
