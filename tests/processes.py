"""What Linux says about processes, for tests that start and lose some."""

from __future__ import annotations

from pathlib import Path


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
