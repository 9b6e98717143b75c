"""Every attack of `hostile_bundles` is refused, in a sentence of its own, and reaches no file outside."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hostile_bundles import CASES, HostileCase

import flowtell
from flowtell import Bundle, Detector

_listeners: list[list[str]] = []


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    # A number is a descriptor that was opened, and heard of, by its path.
    if event == "open" and _listeners and not isinstance(arguments[0], int):
        _listeners[-1].append(os.fsdecode(arguments[0]))


# An audit hook stays for the life of the process: this one keeps nothing unless a test listens.
sys.addaudithook(_hear)


@contextmanager
def opened_paths() -> Iterator[list[str]]:
    """Collect the path of every file that the interpreter opens."""
    _listeners.append([])
    try:
        yield _listeners[-1]
    finally:
        _listeners.pop()


def refusal(folder: Path) -> str:
    """Open a bundle as `flowtell detect` does, every graph looked at; return what is said of it."""
    with pytest.raises((flowtell.BundleError, flowtell.ProviderError)) as caught:
        Bundle.open(folder).verify()
        # with threads the system is not asked for its cores
        Detector.open(folder, provider="cpu", threads=2)
    return str(caught.value)


@pytest.fixture(scope="module", autouse=True)
def runtime_loaded(tiny_bundle: Path) -> None:
    """Have ONNX Runtime import what it imports before anybody listens."""
    Detector.open(tiny_bundle, provider="cpu")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_is_refused_and_reaches_nothing_outside(case: HostileCase, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    case.write(folder)
    with opened_paths() as paths:
        message = refusal(folder)
    assert case.says in message
    assert "\n" not in message
    assert paths or case.name == "manifest_is_a_link", "nothing was heard"
    assert {Path(path).parent for path in paths} <= {folder}
    # A link in the bundle would be followed by its own name.
    assert not [path for path in paths if Path(path).is_symlink()]


def test_there_are_many_and_no_two_sound_alike(tmp_path: Path) -> None:
    messages = {}
    for case in CASES:
        folder = tmp_path / case.name / "bundle"
        folder.parent.mkdir()
        case.write(folder)
        messages[case.name] = refusal(folder).replace(str(folder), "")
    page = (Path(__file__).resolve().parents[2] / "docs" / "bundle-format.md").read_text(encoding="utf-8")
    assert f"writes {len(CASES)} bundles that" in page
    assert len({case.name for case in CASES}) == len(CASES)
    assert len(set(messages.values())) == len(CASES)
