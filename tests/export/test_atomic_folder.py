"""A bundle's folder changes in one step: whatever kills the writer, the old one or the new one is there."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest

import flowtell
from flowtell.export import _atomic_folder
from flowtell.export._atomic_folder import replaced_folder

KILLS, SEED = 20, 20261125
# Longer than one writing takes, so that every moment of it is as likely to be the last.
LONGEST_S = 0.4

# For each line it reads, forks a process that replaces a bundle by itself under other names, on and on.
WRITERS = """
import itertools, os, sys
from pathlib import Path
from flowtell.export._bundle_folder import PAPERS, write_bundle_folder
from flowtell.export.bundle_facts import BundleFacts, OperatingPoint

source, target = Path(sys.argv[1]), Path(sys.argv[2])
detector = (source / "detector.onnx").read_bytes()
for line in sys.stdin:
    writer = os.fork()
    if writer:
        print(writer, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(writer, 0)[1]), flush=True)
        continue
    for number in itertools.count():
        write_bundle_folder(
            target,
            BundleFacts(f"{line.strip()} {number}", "none", thresholds=(OperatingPoint(0.5, "none"),)),
            crop_size=64,
            flow_encoding="uv",
            weights_storage="fp32",
            graphs={"detector": {"fp32": detector}},
            papers=dict.fromkeys(PAPERS, "text"),
        )
"""


def test_sigkill_at_any_moment_leaves_a_whole_bundle(tiny_bundle, tiny_bundle_copy):
    generator = random.Random(SEED)
    names = set()
    command = [sys.executable, "-c", WRITERS, str(tiny_bundle), str(tiny_bundle_copy)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writers:
        for number in range(KILLS):
            writers.stdin.write(f"writer {number}\n")
            writers.stdin.flush()
            writer = int(writers.stdout.readline())
            time.sleep(generator.uniform(0, LONGEST_S))
            os.kill(writer, signal.SIGKILL)
            assert int(writers.stdout.readline()) == -signal.SIGKILL
            bundle = flowtell.Bundle.open(tiny_bundle_copy)
            bundle.verify()
            names.add(bundle.manifest.name)
            left = [path for path in tiny_bundle_copy.parent.iterdir() if path != tiny_bundle_copy]
            assert all(path.name.startswith(".") and path.suffix == ".partial" for path in left)
            assert len(left) <= 1, "what an earlier one left must be swept up"
        writers.stdin.close()
    assert len(names) > 1, "no writer was quick enough to replace the bundle once"


@pytest.fixture
def old(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "old").write_text("old")
    return folder


def test_what_the_body_writes_takes_the_place(old):
    with replaced_folder(old) as scratch:
        (scratch / "new").write_text("new")
        assert [path.name for path in old.iterdir()] == ["old"]
    assert [path.name for path in old.iterdir()] == ["new"]
    assert list(old.parent.iterdir()) == [old]


def test_an_error_in_the_body_leaves_everything(old):
    with pytest.raises(ZeroDivisionError), replaced_folder(old) as scratch:
        (scratch / "new").write_text("new")
        raise ZeroDivisionError
    assert [path.name for path in old.iterdir()] == ["old"]
    assert list(old.parent.iterdir()) == [old]


def test_two_renames_do_where_names_cannot_be_exchanged(old, monkeypatch):
    monkeypatch.setattr(_atomic_folder, "_RENAME_EXCHANGE", 1 << 20)  # a flag that no kernel knows
    with replaced_folder(old) as scratch:
        (scratch / "new").write_text("new")
    assert [path.name for path in old.iterdir()] == ["new"]
    assert list(old.parent.iterdir()) == [old]


def test_a_failing_rename_leaves_everything(old):
    with pytest.raises(FileNotFoundError), replaced_folder(old) as scratch:
        scratch.rmdir()
    assert [path.name for path in old.iterdir()] == ["old"]


def test_leftovers_are_swept_unless_somebody_is_still_at_work(old):
    left, busy = (old.parent / f".folder-{word}.partial" for word in ("left", "busy"))
    for folder in (left, busy):
        folder.mkdir()
    held = _atomic_folder._lock(busy)
    try:
        with replaced_folder(old):
            pass
    finally:
        os.close(held)
    assert not left.exists()
    assert busy.exists()
