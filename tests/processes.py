"""What Linux says about processes, for tests that start and lose some, or need one of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

_RESIDENT = """
import os, sys
import flowtell.samples

def resident_mb():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
"""


def children_of(parent: int) -> list[int]:
    """Process numbers of the children of `parent`, zombies included."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:  # it has ended
                continue
            if int(fields[1]) == parent:
                found.append(int(folder.name))
    return found


def state_of(pid: int) -> str:
    """Letter for what a process does: R runs, S sleeps, T is stopped, Z is a zombie; "" where it is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return ""


def cpu_ticks_of(pid: int) -> int:
    """Processor time that a process has used, in ticks of 10 ms; 0 where there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def run_on_a_full_disk(arguments: list[str], *, largest_file_bytes: int) -> subprocess.CompletedProcess[str]:
    """Run a command whose writes fail past a file's size, as they do on a full disk.

    `prlimit` sets the limit, not Python after a fork: JAX, where a test has imported it, warns of forks.
    The command's coverage is not measured: its own file would be cut short too.
    """
    return subprocess.run(
        ["prlimit", f"--fsize={largest_file_bytes}", *arguments],
        env={name: value for name, value in os.environ.items() if not name.startswith("COV")},
        capture_output=True,
        text=True,
    )


def printed_by(code: str, *arguments: str, setup: str = "") -> list[str]:
    """Run code in a process of its own, which knows `resident_mb()`; return the words that it prints."""
    script = _RESIDENT + textwrap.dedent(setup) + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()
