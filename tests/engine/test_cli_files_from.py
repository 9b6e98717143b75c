"""`flowtell detect --files-from`: the names of a list, whatever they consist of."""

from __future__ import annotations

import codecs
import json
import os
import shutil
import subprocess
import sys

import pytest

from flowtell import InputError, samples
from flowtell.__main__ import main
from flowtell._cli_detect import names_from

NATURAL = samples.natural_path()


def judged(*words, names=b""):
    command = [sys.executable, "-m", "flowtell", "detect", "--json", "--clips", "1", *map(str, words)]
    done = subprocess.run(command, input=names, capture_output=True, check=False)
    files = [json.loads(line)["file"] for line in done.stdout.splitlines()]
    return done.returncode, files, done.stderr.decode()


def test_files_are_judged_that_find_names(tiny_bundle, tmp_path):
    odd = tmp_path / "two\nlines \udcff.mp4"
    shutil.copy(NATURAL, odd)
    found = subprocess.run(["find", tmp_path, "-name", "*.mp4", "-print0"], capture_output=True, check=True)
    words = (NATURAL, "--files-from", "-", "--bundle", tiny_bundle)
    assert judged(*words, names=found.stdout) == (0, [str(NATURAL), str(odd)], "")


def test_a_list_has_a_name_a_line(tmp_path):
    names = tmp_path / "names"
    names.write_bytes(codecs.BOM_UTF8 + b"a b.mp4\n\nc.mp4\r\nd\r\xff.mp4")
    assert names_from(str(names)) == ["a b.mp4", "c.mp4", os.fsdecode(b"d\r\xff.mp4")]
    names.write_text("a.mp4\n", encoding="utf-16")
    with pytest.raises(InputError, match="is in UTF-16: save it in UTF-8"):
        names_from(str(names))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "there is nothing to judge: name video files, or a list of them with --files-from"),
        (["--files-from", "nowhere"], "--files-from: 'nowhere' cannot be read: "),
        (["--files-from", os.devnull], f"--files-from: the list '{os.devnull}' names no file"),
        (
            ["--files-from", str(NATURAL)],
            f"--files-from: '{NATURAL}' is no list of names: if it is a video, ",
        ),
    ],
)
def test_without_names_there_is_a_sentence(words, says, capsys):
    assert main(["detect", *words]) == 2
    assert capsys.readouterr().err.startswith(f"flowtell: {says}")


def test_a_name_as_long_as_a_name_can_be_is_one(tmp_path):
    names = tmp_path / "names"
    names.write_bytes(b"a" * 4096 + b"\n" + b"b")
    assert len(names_from(str(names))) == 2
    names.write_bytes(b"a" * 4097 + b"\n" + b"b")
    with pytest.raises(InputError, match="is no list of names"):
        names_from(str(names))


def test_results_that_have_nowhere_to_go_are_not_made(tiny_bundle):
    command = f'exec "{sys.executable}" -m flowtell detect "{NATURAL}" --bundle "{tiny_bundle}" >&-'
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    said = "flowtell: standard output is closed, and that is where results go\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)


def test_what_may_not_be_looked_at_is_a_sentence(monkeypatch, capsys):
    """As of `flowtell prepare` on a folder of somebody else's."""

    def refused(*_):
        raise PermissionError(13, "Permission denied", "/of/another")

    monkeypatch.setattr("flowtell._cli_detect.main", refused)
    assert main(["detect", "a.mp4"]) == 2
    said = "flowtell: '/of/another' may not be read, or written: Permission denied; ask for the right, or"
    assert capsys.readouterr().err.startswith(said)


def test_every_list_is_read_and_standard_input_once(tmp_path, tiny_bundle, capsys):
    for name in ("first", "second"):
        (tmp_path / f"{name}.txt").write_text(f"{tmp_path}/{name}.mp4\n")
    lists = [word for name in ("first", "second") for word in ("--files-from", str(tmp_path / f"{name}.txt"))]
    assert main(["detect", "--bundle", str(tiny_bundle), *lists]) == 1
    out = capsys.readouterr().out
    assert out.index("first.mp4") < out.index("second.mp4")
    assert main(["detect", "--files-from", "-", "--files-from", "-"]) == 2
    assert "standard input is one list" in capsys.readouterr().err
