"""What this CPU can do, as far as the system tells."""

from __future__ import annotations

from functools import cache
from pathlib import Path

__all__ = ["has_vnni"]

_VNNI = frozenset(("avx512_vnni", "avx_vnni"))


@cache
def has_vnni() -> bool:
    """Tell whether products of one-byte numbers are summed without saturating on the way (VNNI).

    Only Linux is asked; elsewhere the answer is no, which is slower where it is wrong and never less exact.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    return any(line.startswith("flags") and not _VNNI.isdisjoint(line.split()) for line in lines)
