"""Arguments that several commands share: which face clips to compare on."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_clip_arguments(
    parser: argparse.ArgumentParser, clips_per_file: int, pairs: int, required: bool
) -> None:
    """Add ``--clips``, ``--clips-per-file`` and ``--pairs`` with these defaults."""
    parser.add_argument(
        "--clips",
        type=Path,
        nargs="+",
        required=required,
        default=[],
        metavar="PATH",
        help="videos, or folders of videos, to compare with the Keras models on",
    )
    parser.add_argument(
        "--clips-per-file", type=_positive, default=clips_per_file, metavar="N", help="default: %(default)s"
    )
    parser.add_argument(
        "--pairs", type=_positive, default=pairs, metavar="N", help="of each clip; default: %(default)s"
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not '{text}'")
    return int(text)
