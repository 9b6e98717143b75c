"""Worker processes that are started afresh, never forked, and answer one JSON line for one."""

import json
import queue
import subprocess
import sys
import threading

__all__ = ["WorkerPool"]


class WorkerPool:
    """Runs jobs in `count` processes of one module. Use as a context manager; leaving it ends them.

    Args:
        module: run as `python -m module`; reads a job a line, answers `{"error": null or a sentence}` a line.
        count: processes at the same time, at least 1.
    """

    def __init__(self, module, count):
        self._module, self._count = module, count
        self._workers = []
        self._lock = threading.Lock()
        self._closed = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with self._lock:
            self._closed = True
            for worker in self._workers:
                worker.kill()
        for worker in self._workers:
            worker.wait()

    def run(self, jobs):
        """Yield (job, error, whether its process died) for each job as it ends, error None or one sentence.

        A job whose process dies gives an error that names the signal; the next job gets a new process. A job
        that no process can be started for gives an error that says why. Each job says what it is of: `path`.
        """
        waiting, done = queue.SimpleQueue(), queue.SimpleQueue()
        for job in jobs:
            waiting.put(job)
        threads = [
            threading.Thread(target=self._work, args=(waiting, done), daemon=True)
            for _ in range(min(self._count, len(jobs)))
        ]
        for thread in threads:
            thread.start()
        for _ in range(len(jobs)):
            yield done.get()
        for thread in threads:
            thread.join()

    def _work(self, waiting, done):
        worker = None
        while True:
            try:
                job = waiting.get_nowait()
            except queue.Empty:
                break
            try:
                worker = worker or self._start()
            except OSError as error:
                cause = error.strerror or error
                done.put((job, f"no process can be started to work on '{job['path']}': {cause}", False))
                continue
            if worker is None:
                break
            try:
                worker.stdin.write(json.dumps(job) + "\n")
                worker.stdin.flush()
                answer = worker.stdout.readline()
            except BrokenPipeError:
                answer = ""
            # A line that does not end is of a process that died while it wrote.
            if answer.endswith("\n"):
                done.put((job, json.loads(answer)["error"], False))
                continue
            code = worker.wait()
            worker = None
            cause = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
            done.put((job, f"the process that worked on '{job['path']}' {cause}", True))
        if worker is not None:
            worker.stdin.close()
            worker.wait()
            worker.stdout.close()

    def _start(self):
        with self._lock:
            if self._closed:
                return None
            worker = subprocess.Popen(
                [sys.executable, "-m", self._module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            self._workers.append(worker)
            return worker
