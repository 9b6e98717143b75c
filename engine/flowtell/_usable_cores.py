"""How many cores this process may compute on: what the scheduler allows, and a container's quota of time."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["usable_cores"]


def usable_cores(root: Path = Path("/")) -> int:
    """Return the number of cores that threads of this process can keep busy, 1 at least.

    A quota of part of a core counts as one more: threads that wait for their share cost less than a core
    that lies idle.

    Args:
        root: of the file system that says what the quota is.
    """
    has_affinity = hasattr(os, "sched_getaffinity")
    allowed = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return max(1, math.ceil(min([allowed, *_quotas(root)])))


def _quotas(root: Path) -> Iterator[float]:
    """Yield the cores' worth of time that each control group around this process may use (cgroups(7)).

    In a container a group's folder is often not there by the name that the kernel gives it: then what lies
    above it, down from where the groups are mounted, is the container's own.
    """
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if not controllers:
            mount, quota_of = root / "sys/fs/cgroup", _quota_of_version_2
        elif "cpu" in controllers.split(","):
            mount, quota_of = root / "sys/fs/cgroup" / controllers, _quota_of_version_1
        else:
            continue
        own = Path(group.lstrip("/"))
        for folder in (own, *own.parents):
            quota = quota_of(mount / folder)
            if quota is not None:
                yield quota


def _quota_of_version_2(folder: Path) -> float | None:
    return _share(_read(folder / "cpu.max").split())


def _quota_of_version_1(folder: Path) -> float | None:
    return _share([_read(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")])


def _share(words: list[str]) -> float | None:
    """Return time over period; None where either is no number above 0, as `max` and -1 for no limit."""
    if len(words) != 2 or not all(word.isdecimal() and int(word) for word in words):
        return None
    time_us, period_us = map(int, words)
    return time_us / period_us


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return ""
