"""Two short rendered videos that ship with the package, for a first look and for tests.

Both are rendered from one public-domain portrait (see ``README.md`` in this folder). Neither they nor the script
that renders them may enter training or calibration.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["natural_path", "swapped_path"]

_FOLDER = Path(__file__).resolve().parent


def natural_path() -> Path:
    """Path of the sample whose face moves as a face does: 97 frames, 480×480 px, 25 frames a second, H.264."""
    return _FOLDER / "natural.mp4"


def swapped_path() -> Path:
    """Path of the sample with the same motion, its inner face rendered anew in every frame as a face swap does."""
    return _FOLDER / "swapped.mp4"
