"""What `flowtell info` shows of a bundle, and what no bundle may show of itself."""

from __future__ import annotations

import json

import flowtell
from flowtell import samples
from flowtell.__main__ import main

NATURAL = str(samples.natural_path())


def run(capsys, *arguments):
    """Run in this process; return (exit code, stdout, stderr)."""
    code = main(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_info_shows_licence_graphs_data_and_thresholds(capsys, motion_bundle):
    code, out, err = run(capsys, "info", str(motion_bundle))
    assert (code, err) == (0, "")
    for word in (
        "Apache-2.0, for tests",
        "detector.onnx",
        "verified",
        "more motion than stillness",
        "trained on none",
    ):
        assert word in out
    code, out, _ = run(capsys, "info", str(motion_bundle), "--json")
    document = json.loads(out)
    assert code == 0
    assert out.count("\n") == 1
    assert document["sha256"] == flowtell.Bundle.open(motion_bundle).sha256
    manifest = json.loads((motion_bundle / "manifest.json").read_text())
    assert {key: document[key] for key in manifest if key != "format"} == {
        key: value for key, value in manifest.items() if key != "format"
    }


def test_what_a_bundle_calls_itself_does_not_reach_the_terminal_raw(capsys, bundle_copy):
    path = bundle_copy / "manifest.json"
    stated = json.loads(path.read_text())
    path.write_text(json.dumps(stated | {"name": "bad\x1b[2K\nb.mp4  original", "licence": "any\x9b1A"}))
    for words in (
        ("info", str(bundle_copy)),
        ("detect", NATURAL, "--bundle", str(bundle_copy), "--clips", "1"),
    ):
        code, out, _ = run(capsys, *words)
        assert code == 0
        assert r"bad\x1b[2K\nb.mp4  original" in out
        assert r"any\x9b1A" in out
        assert out.replace("\n", "").isprintable()


def test_info_refuses_an_altered_bundle(capsys, bundle_copy):
    (bundle_copy / "crop.onnx").write_bytes(b"other")
    code, _, err = run(capsys, "info", str(bundle_copy))
    assert code == 2
    assert "crop.onnx" in err
