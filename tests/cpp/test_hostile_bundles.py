"""The C library refuses every hostile bundle that Python's loader refuses, and in the same sentence."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile_bundles import CASES, HostileCase, rewrite

from flowtell import Bundle, BundleError, Detector

FLOWTELL_BUNDLE_ERROR = 4
FLOWTELL_PROVIDER_ERROR = 5

# Python's recursion ends a manifest of a hundred thousand brackets, here a limit of its own does; and what is
# no text is found where it stands, not once all has been read.
OTHER_WORDS = {
    "manifest_bomb_of_depth": "it is nested deeper than 100 levels",
    "half_a_character": "half a surrogate pair at byte 29",
}

Refusal = Callable[..., tuple[int, str]]


class Options(ctypes.Structure):
    """`flowtell_options`."""

    _fields_ = (
        ("struct_size", ctypes.c_uint32),
        ("bundle", ctypes.c_char_p),
        ("provider", ctypes.c_char_p),
        ("precision", ctypes.c_char_p),
        ("onnxruntime", ctypes.c_char_p),
    )


@pytest.fixture(scope="module")
def refuse(c_library: Path, onnxruntime_library: Path) -> Refusal:
    """Return `refuse(folder, precision=None) -> (status, sentence)`: opens a bundle through C."""
    api = ctypes.CDLL(str(c_library))
    api.flowtell_last_error.restype = ctypes.c_char_p

    def call(folder: Path, precision: bytes | None = None) -> tuple[int, str]:
        options = Options(
            ctypes.sizeof(Options), os.fsencode(folder), b"cpu", precision, os.fsencode(onnxruntime_library)
        )
        detector = ctypes.c_void_p()
        status = api.flowtell_detector_open(ctypes.byref(options), ctypes.byref(detector))
        assert not detector
        return status, api.flowtell_last_error().decode()

    return call


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_is_refused_in_the_words_of_python(case: HostileCase, refuse: Refusal, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    case.write(folder)
    with pytest.raises(BundleError) as caught:
        Bundle.open(folder).verify()
        Detector.open(folder, provider="cpu")
    status, sentence = refuse(folder)
    assert status == FLOWTELL_BUNDLE_ERROR
    if case.name in OTHER_WORDS:
        assert OTHER_WORDS[case.name] in sentence
    else:
        assert case.says in sentence
        assert sentence.replace("\\\\", "\\") == str(caught.value).replace("\\\\", "\\")


@pytest.mark.parametrize("name", ["nowhere", "x" * 300, "loop", "file/inside"])
def test_a_folder_that_is_none_is_refused_in_the_words_of_python(
    name: str, refuse: Refusal, tmp_path: Path
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    with pytest.raises(BundleError) as caught:
        Bundle.open(tmp_path / name)
    assert refuse(tmp_path / name) == (FLOWTELL_BUNDLE_ERROR, str(caught.value))


def test_bf16_is_refused_with_who_computes_it(refuse: Refusal, tiny_bundle: Path) -> None:
    status, sentence = refuse(tiny_bundle, b"bf16")
    assert status == FLOWTELL_PROVIDER_ERROR
    assert "the provider 'openvino' alone computes in bf16" in sentence


def test_a_manifest_may_name_a_bf16_detector(refuse: Refusal, tiny_bundle_copy: Path) -> None:
    """What the library does not run does not keep it from what it runs."""
    entry = {"file": "detector-bf16.onnx", "sha256": "0" * 64, "bytes": 1}
    rewrite(tiny_bundle_copy, lambda m: m["graphs"]["detector"].update(bf16=entry))
    status, sentence = refuse(tiny_bundle_copy, b"fp16")
    assert status == FLOWTELL_BUNDLE_ERROR
    assert "has no detector graph in fp16, but in fp32, bf16" in sentence
