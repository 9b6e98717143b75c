"""`flowtell detect`: judges files, one line or one JSON object each."""

from __future__ import annotations

import argparse
import codecs
import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ._auto_provider import PROVIDER_VARIABLE
from ._budget import MAX_CLIPS_LIMIT
from ._cli_progress import ProgressBar
from ._cli_text import printable
from ._detector import Detector
from ._effort import Effort
from ._errors import InputError
from ._heap import keep_little_free
from ._manifest import PRECISIONS
from ._profile import Profile
from ._providers import PROVIDER_NAMES
from ._result import Result
from ._run_control import require_timeout

__all__ = ["main"]


_LONGEST_NAME = 4096
"""Bytes: no system that flowtell runs on opens a file by a longer one (Linux: path_resolution(7))."""


def main(argv: list[str]) -> int:
    """Judge the files named in `argv`; return 0 if each was judged, else 1."""
    arguments = _parser().parse_args(argv[1:])
    if arguments.files_from.count("-") > 1:
        raise InputError("--files-from: standard input is one list")
    videos = arguments.video + [name for path in arguments.files_from for name in names_from(path)]
    if not videos:
        if arguments.files_from:
            raise InputError(f"--files-from: the list '{arguments.files_from[0]}' names no file")
        raise InputError("there is nothing to judge: name video files, or a list of them with --files-from")
    if sys.stdout is None:
        raise InputError("standard output is closed, and that is where results go")
    effort = effort_from_words(arguments)
    with _named("--timeout"):
        require_timeout(arguments.timeout)
    keep_little_free()
    detector = Detector.open(
        arguments.bundle,
        provider=arguments.provider,
        precision=arguments.precision,
        threads=arguments.threads,
        profile=None if arguments.profile is None else Profile.read(arguments.profile),
    )
    width = max(len(printable(file)) for file in videos)
    if not arguments.json:
        print(f"{'file':{width}}  {'verdict':9}  fake_probability  faces  pairs judged")
    judged = True
    with detector, ProgressBar(sys.stderr, videos) as bar:
        results = detector.detect_many(videos, effort=effort, timeout_s=arguments.timeout, progress=bar)
        with closing(results):
            for result in results:
                text = result.to_json() if arguments.json else result_line(result, width)
                with bar.next_file():
                    print(text, flush=True)
                judged = judged and result.is_judged
    if not arguments.json:
        manifest = detector.bundle.manifest
        name, licence = printable(manifest.name), printable(manifest.licence)
        print(f"judged by the bundle '{name}' on {detector.provider}; its licence: {licence}")
    return 0 if judged else 1


def result_line(result: Result, width: int) -> str:
    """Return one line of the table for `result`, the file name padded to `width`."""
    probability = "-" if result.fake_probability is None else f"{result.fake_probability:.3f}"
    pairs = f"{result.pairs_judged} of {result.pairs_total}"
    file, faces = printable(result.file), len(result.faces)
    line = f"{file:{width}}  {result.verdict:9}  {probability:>16}  {faces:5}  {pairs:>12}"
    return line if result.reason is None else f"{line}  {result.state}: {printable(result.reason)}"


def names_from(path: str) -> list[str]:
    """Return the file names that a list holds, one a line, or ended by NUL as `find -print0` writes them.

    Args:
        path: of the list; `-` is standard input.

    Raises:
        InputError: where it cannot be read, is in UTF-16, or holds what no file can be called.
    """
    if path == "-" and sys.stdin is None:
        raise InputError("--files-from: standard input is closed")
    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"--files-from: '{path}' cannot be read: {reason}") from None
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError(f"--files-from: '{path}' is in UTF-16: save it in UTF-8")
    data = data.removeprefix(codecs.BOM_UTF8)
    names = data.split(b"\0") if b"\0" in data else [line.removesuffix(b"\r") for line in data.split(b"\n")]
    if data.startswith(b"\0") or max(map(len, names)) > _LONGEST_NAME:
        raise InputError(
            f"--files-from: '{path}' is no list of names: if it is a video, name it without --files-from"
        )
    return [os.fsdecode(name) for name in names if name]


def effort_from_words(arguments: argparse.Namespace) -> Effort:
    """Return how much of each file to look at.

    Raises:
        InputError: where a number is out of range or a budget is not written as it must be.
    """
    if arguments.budget is not None:
        for unit in ("/min", "s"):
            value = _number(arguments.budget.removesuffix(unit))
            if arguments.budget.endswith(unit) and value is not None:
                with _named(f"--budget {arguments.budget}"):
                    return Effort(compute_s=value) if unit == "s" else Effort(clips_per_minute=value)
        raise InputError(
            f"--budget must be a number with /min or s, such as 4/min or 20s, not {arguments.budget!r}"
        )
    with _named("--anytime" if arguments.clips is None else "--clips"):
        return Effort(max_clips=arguments.clips, error_rate=arguments.anytime)


@contextmanager
def _named(option: str) -> Iterator[None]:
    """Have what is wrong named by the option it came with."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{option}: {error}") from None


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="flowtell detect",
        description="Judge video files by how the faces in them move.",
        epilog="Exit code: 0 every file was judged, or showed too little of a face to judge by "
        "(thin_evidence); 1 some file could not be judged, 2 wrong usage, or the run could not go on; "
        "130 interrupted.",
    )
    parser.add_argument("video", nargs="*", metavar="VIDEO", help="video files")
    parser.add_argument(
        "--files-from",
        action="append",
        default=[],
        metavar="LIST",
        help="judge the files named in LIST, too: one a line, or each ended by NUL (find -print0); - is "
        "standard input",
    )
    parser.add_argument("--bundle", metavar="DIR", help="folder of a bundle (default: the packaged one)")
    parser.add_argument(
        "--provider",
        default="auto",
        metavar="P",
        help=f"what to run on: {', '.join(PROVIDER_NAMES)} (default: auto, and where the variable "
        f"{PROVIDER_VARIABLE} names one, that)",
    )
    parser.add_argument(
        "--precision",
        default="fp32",
        metavar="Q",
        help=f"what to compute in, where the bundle has it: {', '.join(PRECISIONS)} (default: fp32)",
    )
    effort = parser.add_mutually_exclusive_group()
    effort.add_argument("--all", action="store_true", help="judge every face clip (the default)")
    effort.add_argument(
        "--clips",
        type=int,
        metavar="N",
        help=f"judge at most N face clips a file, evenly spread (1 to {MAX_CLIPS_LIMIT})",
    )
    effort.add_argument(
        "--budget",
        metavar="B",
        help=f"4/min judges four face clips for each minute of video, {MAX_CLIPS_LIMIT} at most; 20s judges "
        "short runs of frames, spread over the file, for 20 seconds, or as many as the bundle asks for at "
        "least",
    )
    effort.add_argument(
        "--anytime",
        type=float,
        metavar="E",
        help="judge such runs until the rest would not change the verdict, at most in a share E of files "
        "(0.05, say; 1e-06 to 0.5)",
    )
    parser.add_argument(
        "--threads", type=int, metavar="N", help="threads that compute at the same time (default: all cores)"
    )
    parser.add_argument(
        "--profile",
        metavar="FILE",
        help="run as 'flowtell bench tune' found best here, instead of --provider, --precision and --threads",
    )
    parser.add_argument(
        "--timeout", type=float, metavar="S", help="give a file up after so many seconds (default: never)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line for each file")
    return parser
