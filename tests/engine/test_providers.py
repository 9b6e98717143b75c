"""Providers: used or refused by name; a machine without ONNX Runtime is told what to install."""

from __future__ import annotations

import subprocess
import sys

import pytest

import flowtell
from flowtell import Detector, ProviderError
from flowtell._providers import PROVIDER_NAMES, resolve_provider, why_not


def test_auto_is_the_cpu_and_says_so():
    assert resolve_provider("auto") == resolve_provider("cpu")
    assert resolve_provider("auto").ort_name == "CPUExecutionProvider"


@pytest.mark.parametrize("name", ["openvino", "cuda", "tensorrt"])
def test_a_provider_that_is_not_built_in_is_an_error_and_not_a_silent_cpu(motion_bundle, name):
    with pytest.raises(ProviderError) as caught:
        Detector.open(motion_bundle, provider=name)
    wanted = f"the provider '{name}' is not built into flowtell {flowtell.__version__}: use 'cpu' or 'auto'"
    assert str(caught.value) == wanted
    assert why_not(name) == wanted


def test_an_unknown_provider_lists_the_known_ones(motion_bundle):
    with pytest.raises(ProviderError, match=", ".join(PROVIDER_NAMES)):
        Detector.open(motion_bundle, provider="coreml")


WITHOUT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name == "onnxruntime":
            raise {error}
sys.meta_path.insert(0, Absent())
import flowtell
try:
    flowtell.Detector.open(sys.argv[1])
except flowtell.ProviderError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            "ModuleNotFoundError(name=name)",
            "no onnxruntime is installed: install one with: pip install 'flowtell[cpu]'",
        ),
        (
            "ModuleNotFoundError(name='flatbuffers')",
            "onnxruntime is installed but lacks the module 'flatbuffers'",
        ),
        ("ImportError('libfoo.so')", "onnxruntime cannot be loaded (libfoo.so): reinstall it"),
    ],
)
def test_without_a_runtime_flowtell_imports_and_opening_says_what_to_install(motion_bundle, error, says):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(error=error), str(motion_bundle)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == says
