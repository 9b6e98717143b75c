"""The binary interface is the one that `abi.txt` lists: symbols, struct sizes, fields, numbers.

FLOWTELL_ACCEPT_ABI=1 writes the list again. A change of what is there breaks programs that are out in the
world: it raises FLOWTELL_ABI_VERSION. A struct that grows at its end, or a new function, does not.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEADER = ROOT / "engine/cpp/include/flowtell/flowtell.h"
GOLDEN = Path(__file__).parent / "abi.txt"


def run(*command: str | Path) -> str:
    words = [str(word) for word in command]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def exported(library: Path) -> set[str]:
    return {line.split()[-1] for line in run("nm", "-D", "--defined-only", library).splitlines()}


def declared() -> set[str]:
    return set(re.findall(r"^FLOWTELL_API [^;]*?(flowtell_\w+)\(", HEADER.read_text(), re.MULTILINE))


pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or not shutil.which("nm") or sys.maxsize < 2**32,
    reason="the list is that of 64-bit Linux, and needs nm",
)


def test_only_the_interface_is_exported(c_library: Path) -> None:
    assert exported(c_library) == declared()


def test_abi_is_the_listed_one(c_build: Path, c_library: Path) -> None:
    numbers = re.findall(r"^    (FLOWTELL_\w+ = \d+)", HEADER.read_text(), re.MULTILINE)
    found = run(c_build / "tests/cpp/print_abi")
    found += "".join(f"{name}\n" for name in [*numbers, *sorted(exported(c_library))])
    if os.environ.get("FLOWTELL_ACCEPT_ABI") == "1":
        GOLDEN.write_text(found)
    assert found == GOLDEN.read_text()


def test_every_struct_and_every_field_is_listed(c_build: Path) -> None:
    listed = run(c_build / "tests/cpp/print_abi")
    body = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.DOTALL)
    structs = re.findall(r"typedef struct (\w+) \{(.*?)\} \w+;", body, re.DOTALL)
    assert len(structs) == 8
    for name, fields in structs:
        names = re.findall(r"(\w+)(?:\[\d\])?;", fields)
        assert names[0] == "struct_size"
        _, _, rest = listed.partition(f"struct {name}: ")
        assert rest, f"{name} is not listed"
        assert re.findall(r"^  (\w+) at", rest.split("struct ")[0], re.MULTILINE) == names


def test_every_public_function_says_what_it_does() -> None:
    text = HEADER.read_text()
    for name in declared():
        before = text[: text.index(re.search(rf"^FLOWTELL_API [^;]*?{name}\(", text, re.MULTILINE)[0])]
        comment = before.rstrip().rsplit("/*", 1)[-1]
        assert comment.endswith("*/"), f"{name} has no comment of its own"
        returns_status = re.search(rf"flowtell_status {name}\(", text) is not None
        assert not returns_status or "Returns" in comment or "Errors as" in comment, f"{name}: what can fail?"
