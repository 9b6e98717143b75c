"""Kills `flowtell export` at random moments and looks at what it leaves.

    python tests/kill_export.py [--kills N] [--seed N]

The whole command is killed with SIGKILL: it reads a bundle, rebuilds its Keras models, gates them on a video
and writes a bundle again. Targets are in turn a bundle that is to be replaced and a folder that is not there
yet; of both, every second kill falls at any moment of the command and the others while its folder is filled.
Prints one JSON object; ends with 1 where something was left that is neither the old bundle nor the new one.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import flowtell
from flowtell import BundleError, samples

TINY = Path(__file__).resolve().parent / "bundles" / "tiny"
_POLL_S = 0.002


@dataclass
class Report:
    """How many exports were killed, how many had ended first, what stood at the target, what was wrong."""

    kills: int = 0
    ended_first: int = 0
    killed_while_filling: int = 0
    old_stayed: int = 0
    new_was_whole: int = 0
    absent: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Run:
    """How long an undisturbed export took, and when it began to fill its folder, in seconds."""

    whole_s: float
    filling_from_s: float


def kill_exports(folder: Path, kills: int, seed: int, *, only_while_filling: bool = False) -> Report:
    """Export the tiny bundle into `folder` until so many runs were killed; return what was seen."""
    generator, report = random.Random(seed), Report()
    run = None if only_while_filling else undisturbed_run(folder / "first")
    quicker = 1.0
    for number in itertools.count():
        if report.kills == kills:
            break
        target = folder / str(number) / "bundle"
        target.parent.mkdir()
        old = Path(shutil.copytree(TINY, target)) if number % 2 == 0 else None
        is_filling = only_while_filling or number % 4 >= 2
        process = start_export(target)
        if is_filling:
            wait_for_partial(process, target)
            filling_s = run.whole_s - run.filling_from_s if run else 1.0
            time.sleep(quicker * generator.uniform(0, filling_s))
        elif run:
            time.sleep(quicker * generator.uniform(0, run.whole_s))
        report.killed_while_filling += process.poll() is None and bool(partials_of(target))
        process.kill()
        if process.wait() != -signal.SIGKILL:
            report.ended_first += 1
            quicker *= 0.8  # the machine has less to do than when the first export was timed
        report.kills += process.returncode == -signal.SIGKILL
        look_at(target, old is not None, report)
    return report


def look_at(target: Path, had_old: bool, report: Report) -> None:
    """Count what stands at `target`; note what is neither the old bundle nor a new one."""
    files = files_of(target)
    if had_old and files == files_of(TINY):
        report.old_stayed += 1
    elif not had_old and not target.exists():
        report.absent += 1
    else:
        try:
            bundle = flowtell.Bundle.open(target)
            bundle.verify()
            report.new_was_whole += 1
            if not bundle.manifest.certificates or len(files) != len(files_of(TINY)):
                report.wrong.append(f"{target}: a bundle that was not gated, or with other files")
        except BundleError as error:
            report.wrong.append(f"{target}: {error}")
    beside = [path for path in target.parent.iterdir() if path != target]
    if beside != partials_of(target) or len(beside) > 1:
        report.wrong.append(f"{target}: beside it lie {[path.name for path in beside]}")


def undisturbed_run(folder: Path) -> Run:
    """Export once to the end."""
    folder.mkdir()
    begun_s = time.monotonic()
    process = start_export(folder / "bundle")
    wait_for_partial(process, folder / "bundle")
    filling_from_s = time.monotonic() - begun_s
    if process.wait():
        raise RuntimeError("the export fails where nobody kills it")
    return Run(time.monotonic() - begun_s, filling_from_s)


def start_export(target: Path) -> subprocess.Popen[bytes]:
    """Start the command; what it prints is dropped."""
    words = [
        sys.executable,
        "-m",
        "flowtell",
        "export",
        TINY,
        "--out",
        target,
        "--clips",
        samples.natural_path(),
    ]
    words += ["--clips-per-file", "1", "--pairs", "1"]
    return subprocess.Popen(
        [str(word) for word in words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def wait_for_partial(process: subprocess.Popen[bytes], target: Path) -> None:
    """Return when the process fills a folder beside `target`, or has ended."""
    while process.poll() is None and not partials_of(target):
        time.sleep(_POLL_S)


def partials_of(target: Path) -> list[Path]:
    """Folders beside `target` that an export was filling."""
    return list(target.parent.glob(f".{target.name}-*.partial"))


def files_of(folder: Path) -> dict[str, bytes]:
    """Name to content of every file of a folder; nothing where it is not there."""
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.is_dir() else {}


def main() -> int:
    """Kill, print the report, return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=20261125)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = kill_exports(Path(folder), arguments.kills, arguments.seed)
    print(json.dumps(asdict(report), indent=2))
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
