"""A child process that is asked over its pipes and, where it dies, is asked for its last words."""

import re
import subprocess
import tempfile

__all__ = ["Child", "last_line"]

_LOG_LINE = re.compile(r"[IWEF]\d{4} \d{2}:|WARNING: All log messages before|To enable the following")
"""Of TensorFlow, which says these whether or not anything is wrong."""


class Child:
    """A process with binary pipes `stdin` and `stdout`; what it says on standard error is kept.

    It is kept in a file: a pipe that nobody reads would fill, as compilers and runtimes talk.
    """

    def __init__(self, command, env=None):
        """Start it.

        Args:
            command: list of words.
            env: its environment; None is this process's.
        """
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self._said}
        self._process = subprocess.Popen(command, env=env, **pipes)
        self.stdin, self.stdout = self._process.stdin, self._process.stdout

    def last_words(self):
        """Wait for its end; return the last line that it said, logs left out, or with which code it ended."""
        code = self._process.wait()
        self._said.seek(0)
        return last_line(self._said.read().decode(errors="replace"), code)

    def close(self):
        """End it."""
        self._process.kill()
        self._process.communicate()
        self._said.close()


def last_line(said, code):
    """Return the last line of what a process said that ended with `code`, logs left out, or that it did."""
    lines = [line for line in said.splitlines() if line.strip() and not _LOG_LINE.match(line)]
    return lines[-1].strip() if lines else f"it ended with {code}"
