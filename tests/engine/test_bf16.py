"""bf16 is computed in bfloat16, by OpenVINO on a CPU that has it, or it is an error that says so."""

from __future__ import annotations

import subprocess
import sys

import onnx
import pytest
from hostile_bundles import add_detector

from flowtell import Bundle, BundleError, Detector, ProviderError, _provider_openvino, samples
from flowtell.__main__ import main


@pytest.fixture
def in_float32(bundle_copy, motion_detector):
    """A bundle whose bf16 detector has the opset of one and computes in float32."""
    model = onnx.version_converter.convert_version(motion_detector, 22)
    add_detector(bundle_copy, "bf16", model.SerializeToString())
    return bundle_copy


def test_a_provider_that_does_not_compute_in_bf16_says_which_does(in_float32, capsys):
    words = "the provider 'cpu' does not compute in bf16: 'openvino' does, where the CPU can"
    arguments = ["--bundle", str(in_float32), "--precision", "bf16", "--provider", "cpu"]
    assert main(["detect", str(samples.natural_path()), *arguments]) == 2
    assert capsys.readouterr() == ("", f"flowtell: {words}\n")


def test_auto_without_openvino_says_what_to_install(in_float32):
    code = (
        "import sys; sys.modules['openvino'] = None\nimport flowtell\n"
        "try: flowtell.Detector.open(sys.argv[1], precision='bf16')\n"
        "except flowtell.ProviderError as error: print(error)"
    )
    environment = {"PATH": "", "FLOWTELL_PROVIDER": "auto"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(in_float32)], capture_output=True, text=True, env=environment
    )
    needs = "the provider 'openvino' needs the package openvino: pip install 'flowtell[openvino]'"
    assert done.stdout == f"nothing here computes in bf16: {needs}\n"


def test_a_cpu_without_bfloat16_is_an_error(in_float32):
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    if _provider_openvino.why_not_bf16() is None:
        pytest.skip("this CPU computes in bfloat16")
    with pytest.raises(ProviderError, match="cannot compute in bf16: this CPU has no arithmetic in bfloat16"):
        Detector.open(in_float32, provider="openvino", precision="bf16")


def test_a_graph_that_is_computed_in_float32_is_no_bf16(in_float32):
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    if _provider_openvino.why_not_bf16() is not None:
        pytest.skip(_provider_openvino.why_not_bf16())
    with pytest.raises(ProviderError, match=r"computes 'detector-bf16\.onnx' in float32, not in bf16"):
        Detector.open(in_float32, provider="openvino", precision="bf16")


def test_a_bf16_graph_has_the_first_opset_with_convolutions_in_it(bundle_copy, motion_detector):
    add_detector(bundle_copy, "bf16", motion_detector.SerializeToString())
    with pytest.raises(BundleError, match=r"'detector-bf16\.onnx' imports opset 18; from 22 to 22 is read"):
        Bundle.open(bundle_copy).verify()
