"""Two short rendered videos that ship with the package, for a first look and for tests.

Both are rendered from one public-domain portrait; ``README.md`` in this folder says how. Neither they nor the
script that renders them may enter training or calibration.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["natural_path", "swapped_path"]

_FOLDER = Path(__file__).resolve().parent


def natural_path() -> Path:
    """Path of the sample that moves as a face does: 97 frames of 480x480 px, 25 a second, H.264."""
    return _FOLDER / "natural.mp4"


def swapped_path() -> Path:
    """Path of the sample with the same motion, its inner face rendered anew for each frame as a swap is."""
    return _FOLDER / "swapped.mp4"
