"""Workers of `flowtell prepare`: each job is answered, whatever happens to who works on it."""

import json
import os
import signal
import subprocess
import sys

import pytest

JOBS = [{"path": "one"}, {"path": "two"}, {"path": "three"}]
PROGRAM = """
import json
import sys
from flowtell.training._worker_pool import WorkerPool
if sys.argv[2] == "no interpreter":
    sys.executable = sys.argv[1] + "/none"
with WorkerPool("worker", 2) as pool:
    answers = pool.run(json.loads(sys.argv[3]))
    print(json.dumps([[job["path"], [error, died]] for job, error, died in answers]))
"""
# Answers all jobs but one, in the middle of whose answer it dies.
WORKER = """
import json
import os
import sys
for line in sys.stdin:
    if json.loads(line)["path"] == "two":
        os.write(1, b'{"error"')
        os.kill(os.getpid(), 9)
    print('{"error": null}', flush=True)
"""


@pytest.mark.parametrize(
    ("case", "errors"),
    [
        (
            "no interpreter",
            {
                name: [f"no process can be started to work on '{name}': No such file or directory", False]
                for name in ("one", "two", "three")
            },
        ),
        (
            "half an answer",
            {
                "one": [None, False],
                "two": ["the process that worked on 'two' was ended by signal 9", True],
                "three": [None, False],
            },
        ),
    ],
)
def test_each_job_is_answered(case, errors, tmp_path):
    (tmp_path / "worker.py").write_text(WORKER)
    # In a process of its own: a job without an answer would be waited for without end.
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), case, json.dumps(JOBS)],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert dict(json.loads(done.stdout)) == errors
    assert done.stderr == ""


def test_a_worker_leaves_ctrl_c_to_who_started_it(tmp_path):
    job = json.dumps({"kind": "clips", "bundle": str(tmp_path / "none"), "record": "one"}) + "\n"
    worker = subprocess.Popen(
        [sys.executable, "-m", "flowtell.training._prepare_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in range(2):
        worker.stdin.write(job)
        worker.stdin.flush()
        assert str(tmp_path / "none") in json.loads(worker.stdout.readline())["error"]
        worker.send_signal(signal.SIGINT)
    _, said = worker.communicate(timeout=60)
    assert (worker.returncode, said) == (0, "")
