"""The command line, as a user runs it: exit codes, one JSON object a line, one sentence an error."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from importlib import resources
from pathlib import Path

import jsonschema
import pytest

import flowtell
from flowtell import Progress, _providers, samples
from flowtell.__main__ import COMMANDS, main
from flowtell._cli_progress import ProgressBar

NATURAL, SWAPPED = str(samples.natural_path()), str(samples.swapped_path())


def run(capsys, *arguments):
    """Run in this process; return (exit code, stdout, stderr)."""
    try:
        code = main(list(arguments))
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_detect_sets_the_heap_of_its_process(capsys, monkeypatch, motion_bundle):
    asked = []
    monkeypatch.setattr("flowtell._cli_detect.keep_little_free", lambda: asked.append(True))
    assert run(capsys, "detect", NATURAL, "--bundle", str(motion_bundle), "--clips", "1")[0] == 0
    assert asked == [True]


def test_detect_prints_a_line_a_file_and_the_licence(capsys, motion_bundle):
    code, out, err = run(capsys, "detect", NATURAL, SWAPPED, "--bundle", str(motion_bundle), "--clips", "2")
    assert code == 0
    assert err == ""
    header, first, second, last = out.splitlines()
    assert header.split()[0] == "file"
    assert NATURAL in first
    assert SWAPPED in second
    assert "32 of 96" in first
    assert "Apache-2.0, for tests" in last


def test_detect_json_is_one_valid_object_a_line(capsys, motion_bundle, tmp_path):
    schema = json.loads(resources.files("flowtell.schemas").joinpath("result.schema.json").read_text("utf-8"))
    missing = str(tmp_path / "nowhere.mp4")
    code, out, err = run(
        capsys, "detect", NATURAL, missing, "--json", "--clips", "1", "--bundle", str(motion_bundle)
    )
    assert code == 1
    assert err == ""
    documents = [json.loads(line) for line in out.splitlines()]
    for document in documents:
        jsonschema.validate(document, schema)
    assert [document["file"] for document in documents] == [NATURAL, missing]
    assert [document["state"] for document in documents] == ["ok", "undecodable"]
    assert documents[0]["stopped"] == "budget"


@pytest.mark.parametrize(
    "words", [["--budget", "16/min"], ["--budget", "1e-9s"], ["--anytime", "0.05"], ["--all"]]
)
def test_detect_looks_at_as_much_as_it_is_told(capsys, motion_bundle, words):
    code, out, err = run(capsys, "detect", NATURAL, "--json", "--bundle", str(motion_bundle), *words)
    assert (code, err) == (0, "")
    result = json.loads(out)
    looked_at = {"16/min": 32, "1e-9s": 2, "--all": 96}
    assert result["pairs_judged"] == looked_at.get(words[-1], result["pairs_judged"])
    assert 2 <= result["pairs_judged"] <= result["pairs_total"] == 96


def test_a_file_that_cannot_be_judged_says_why(capsys, motion_bundle, tmp_path):
    (tmp_path / "a.mp4").write_text("text")
    code, out, _ = run(capsys, "detect", str(tmp_path / "a.mp4"), "--bundle", str(motion_bundle))
    assert code == 1
    assert "undecided" in out
    assert "undecodable: it cannot be opened as a video" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "usage: flowtell COMMAND"),
        (["judge"], "there is no command 'judge'"),
        (["detect"], "name video files"),
        (["detect", NATURAL, "--bundle", "nowhere"], "there is no bundle at 'nowhere'"),
        (
            ["detect", NATURAL, "--bundle", "{bundle}", "--provider", "cuda"],
            "the provider 'cuda' needs onnxruntime-gpu",
        ),
        (
            ["detect", NATURAL, "--bundle", "{bundle}", "--provider", "abacus"],
            "there is no provider 'abacus'",
        ),
        (["detect", NATURAL, "--bundle", "{bundle}", "--clips", "0"], "number of clips"),
        (["detect", NATURAL, "--bundle", "{bundle}", "--clips", "many"], "invalid int value"),
        (["detect", NATURAL, "--bundle", "{bundle}", "--budget", "20"], "such as 4/min or 20s, not '20'"),
        (["detect", NATURAL, "--bundle", "{bundle}", "--budget=-1s"], "--budget -1s: compute_s must be"),
        (["detect", NATURAL, "--bundle", "{bundle}", "--anytime", "2"], "--anytime: error_rate must be"),
        (["detect", NATURAL, "--bundle", "{bundle}", "--anytime", "0.1", "--clips", "1"], "not allowed with"),
        (["detect", NATURAL, "--bundle", "{bundle}", "--threads", "0"], "threads must be"),
        (["detect", NATURAL, "--bundle", "{bundle}", "--timeout", "-1"], "--timeout: timeout_s must be"),
        (["info", "nowhere"], "there is no bundle at 'nowhere'"),
    ],
)
def test_wrong_usage_is_2_and_one_sentence_without_a_traceback(capsys, motion_bundle, arguments, says):
    code, out, err = run(capsys, *[argument.format(bundle=motion_bundle) for argument in arguments])
    assert code == 2
    assert out == ""
    assert says in err
    assert "Traceback" not in err


def test_help_names_every_command_and_version_is_the_package_s(capsys):
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert all(f"  {command.name} " in out and command.summary in out for command in COMMANDS)
    assert run(capsys, "--version") == (0, f"flowtell {flowtell.__version__}\n", "")
    code, out, _ = run(capsys, "detect", "--help")
    assert code == 0
    assert "--clips" in out


@pytest.mark.parametrize(("runtime", "extras"), [(True, "export"), (False, "cpu,export")])
def test_a_command_whose_extra_is_missing_says_what_to_install(capsys, monkeypatch, runtime, extras):
    monkeypatch.setitem(sys.modules, "onnx", None)
    if not runtime:
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
    for name in [name for name in sys.modules if name.startswith("flowtell.export")]:
        monkeypatch.delitem(sys.modules, name)
    code, _, err = run(capsys, "export", "model", "--out", "bundle")
    assert code == 2
    assert err.startswith("flowtell: 'flowtell export' needs the module 'onnx': ")
    assert err.endswith(f"pip install 'flowtell[{extras}]'\n")


def test_doctor_says_what_is_usable_and_why_not(capsys):
    code, out, err = run(capsys, "doctor", "--json")
    document = json.loads(out)
    findings = {finding["name"]: finding for finding in document["findings"]}
    assert err == ""
    assert findings["provider cpu"]["usable"]
    assert findings["onnxruntime"]["usable"]
    assert not findings["provider cuda"]["usable"]
    assert "needs onnxruntime-gpu" in findings["provider cuda"]["detail"]
    assert document["can_judge"] == findings["default bundle"]["usable"] == (code == 0)
    bf16 = findings["precision bf16"]
    no_bf16 = ("this CPU has no arithmetic in bfloat16", "the provider 'openvino' needs")
    assert bf16["detail"] == "usable, by openvino" if bf16["usable"] else bf16["detail"].startswith(no_bf16)
    assert not bf16["needed"]
    text_code, text, _ = run(capsys, "doctor")
    assert text_code == code
    assert all(name in text for name in findings)


def test_doctor_opens_what_is_installed(capsys, monkeypatch):
    """A wheel that is built for GPUs does not say whether there is one."""
    built = [replace(provider, why_not=lambda: None) for provider in _providers._PROVIDERS]
    monkeypatch.setattr(_providers, "_PROVIDERS", tuple(p for p in built if p.most_clips_per_call is None))
    findings = {
        finding["name"]: finding for finding in json.loads(run(capsys, "doctor", "--json")[1])["findings"]
    }
    assert findings["provider cpu"]["usable"]
    for name in ("cuda", "tensorrt"):
        assert not findings[f"provider {name}"]["usable"]
        assert findings[f"provider {name}"]["detail"] not in ("", "usable")


def test_doctor_without_a_default_bundle_says_no(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("flowtell._bundle.default_bundle_path", lambda: tmp_path / "none")
    code, out, _ = run(capsys, "doctor")
    assert code == 1
    assert "NO  default bundle" in out
    assert "there is no bundle" in out


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_bar_is_drawn_on_a_terminal_and_wiped():
    terminal = Terminal()
    with ProgressBar(terminal, ["folder/a.mp4"]) as bar:
        bar(0, Progress(2.0, 8.0, 3, 1))
        bar(0, Progress(4.0, 8.0, 3, 1))
    text = terminal.getvalue()
    assert "a.mp4" in text
    assert text.count(" 25 %") == 1
    assert text.endswith("\r\x1b[2K")


def test_the_bar_shows_the_first_file_that_is_not_done():
    terminal = Terminal()
    with ProgressBar(terminal, ["a.mp4", "b.mp4"]) as bar:
        bar(1, Progress(2.0, 8.0, 3, 1))
        assert terminal.getvalue() == ""
        with bar.next_file():
            bar(1, Progress(3.0, 8.0, 3, 1))
        assert terminal.getvalue() == ""
        bar(1, Progress(4.0, 8.0, 3, 1))
    assert "2/2 b.mp4" in terminal.getvalue()
    assert "a.mp4" not in terminal.getvalue()


def test_the_bar_is_silent_in_a_pipe():
    pipe = io.StringIO()
    with ProgressBar(pipe, ["a.mp4"]) as bar:
        bar(0, Progress(2.0, 8.0, 3, 1))
        with bar.next_file():
            pass
    assert pipe.getvalue() == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that nothing can be written to")
@pytest.mark.parametrize("words", [["--version"], ["--help"], ["detect", "--help"], ["info"]])
def test_what_cannot_be_written_is_one_sentence(words):
    command = [sys.executable, "-m", "flowtell", *words]
    # argparse itself keeps silent of what it cannot write at once
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, env=buffered, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (
        2,
        "flowtell: the output cannot be written: No space left on device\n",
    )


@contextmanager
def started(*arguments, **kwargs):
    """Run the command in a process of its own, which does not outlive the block."""
    with subprocess.Popen(
        # a shell starts background jobs with interrupts ignored, and children inherit that
        ["env", "--default-signal=INT", sys.executable, "-m", "flowtell", *arguments],
        stderr=subprocess.PIPE,
        **{"stdout": subprocess.PIPE, **kwargs},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_ctrl_c_is_clean(motion_bundle):
    with started("detect", *[NATURAL] * 200, "--json", "--bundle", str(motion_bundle)) as process:
        assert process.stdout.readline().startswith(b"{")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == b"flowtell: interrupted\n"


def test_a_reader_that_has_had_enough_is_no_crash(motion_bundle):
    with started("detect", *[NATURAL] * 200, "--json", "--bundle", str(motion_bundle)) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk here that is always full")
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_output_that_cannot_be_written_is_a_sentence(motion_bundle, options):
    words = ("detect", NATURAL, *options, "--clips", "1", "--bundle", str(motion_bundle))
    with Path("/dev/full").open("wb") as full, started(*words, stdout=full) as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err == b"flowtell: the output cannot be written: No space left on device\n"


def test_each_object_is_there_as_soon_as_its_file_is_judged(motion_bundle):
    with started("detect", NATURAL, *[SWAPPED] * 200, "--json", "--bundle", str(motion_bundle)) as process:
        assert json.loads(process.stdout.readline())["file"] == NATURAL
        assert process.poll() is None


def test_a_file_name_cannot_move_the_cursor_or_make_up_a_line(capsys, motion_bundle, tmp_path):
    (tmp_path / "x\x1b[2K\ny.mp4").write_text("no video")
    code, out, _ = run(capsys, "detect", str(tmp_path / "x\x1b[2K\ny.mp4"), "--bundle", str(motion_bundle))
    assert code == 1
    assert "\x1b" not in out
    assert len(out.splitlines()) == 3
    assert r"x\x1b[2K\ny.mp4" in out


@pytest.mark.parametrize("stream", ["<&-", "2>&-"])
@pytest.mark.skipif(sys.platform == "win32", reason="a shell closes the streams")
def test_a_closed_standard_stream_that_is_not_needed_is_no_matter(motion_bundle, stream):
    words = ["-m", "flowtell", "detect", str(NATURAL), "--clips", "1", "--bundle", str(motion_bundle)]
    shell = ["sh", "-c", f'exec "$@" {stream}', "sh", sys.executable, *words]
    done = subprocess.run(shell, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert "16 of 96" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="a shell closes the stream")
@pytest.mark.parametrize("words", [["judge"], ["detect", "--bundle", "nowhere", "a.mp4"], []])
def test_what_is_wrong_is_no_output_where_standard_error_is_closed(words):
    shell = ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-m", "flowtell", *words]
    done = subprocess.run(shell, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="file names there are always Unicode")
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_file_name_that_is_no_unicode_is_judged_and_shown_escaped(motion_bundle, tmp_path, options):
    odd = os.fsencode(tmp_path) + b"/caf\xe9.mp4"
    Path(os.fsdecode(odd)).write_bytes(samples.natural_path().read_bytes())
    words = ("detect", odd, *options, "--clips", "1", "--bundle", str(motion_bundle))
    with started(
        *words, env={**os.environ, "PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8:strict"}
    ) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")
    assert b"caf\\udce9.mp4" in out


def test_the_module_runs_where_standard_output_is_not_utf8(motion_bundle, tmp_path):
    odd = tmp_path / "Zürich-日本.mp4"
    odd.write_bytes(samples.natural_path().read_bytes())
    words = ("detect", str(odd), "--json", "--clips", "1", "--bundle", str(motion_bundle))
    with started(*words, env={**os.environ, "PYTHONIOENCODING": "ascii"}) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")
    assert json.loads(out)["file"] == str(odd)
