"""Arguments that several commands share: which face clips to compare on."""

from __future__ import annotations

import argparse
from pathlib import Path

from flowtell._cli_text import count_from_one


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
        "--clips-per-file",
        type=count_from_one,
        default=clips_per_file,
        metavar="N",
        help="default: %(default)s",
    )
    parser.add_argument(
        "--pairs", type=count_from_one, default=pairs, metavar="N", help="of each clip; default: %(default)s"
    )
