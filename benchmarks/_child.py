"""A child process that is asked over its pipes and, where it dies, is asked for its last words."""

import subprocess
import tempfile

__all__ = ["Child"]


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
        """Wait for its end; return the last line that it said, or with which code it ended."""
        code = self._process.wait()
        self._said.seek(0)
        said = self._said.read().decode(errors="replace").strip()
        return said.splitlines()[-1] if said else f"it ended with {code}"

    def close(self):
        """End it."""
        self._process.kill()
        self._process.communicate()
        self._said.close()
