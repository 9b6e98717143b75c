"""`tests/device/run.py` on a machine without a GPU: it says so; what it compares is compared rightly."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from device import run as script

from flowtell import Bundle
from flowtell._nvidia import NoGpuError, first_gpu
from flowtell._providers import CPU, provider_called


def test_without_a_gpu_it_says_so_and_records_nothing(tmp_path):
    try:
        first_gpu()
    except NoGpuError as error:
        reason = str(error)
    else:
        pytest.skip("this machine has a GPU: run the script itself")
    out = tmp_path / "result.json"
    done = subprocess.run(
        [sys.executable, str(Path(script.__file__)), "--out", str(out)], capture_output=True, text=True
    )
    says = f"there is no CUDA GPU here to run on, and nothing was recorded: {reason}\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", says)
    assert not out.exists()


def test_a_provider_is_judged_by_its_logits(tiny_bundle, monkeypatch):
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    monkeypatch.setattr(script, "RUNS", 2)
    source = script.source_of(Bundle.open(tiny_bundle))
    clips = np.random.default_rng(0).integers(0, 256, (2, 3, 64, 64, 3), dtype=np.uint8)
    cpu = script.judged(CPU.open_graph(source, 1), clips)
    seen = script.of_provider(provider_called("openvino"), source, clips, cpu)
    assert (seen["state"], seen["max_logit_drift"] < 1e-3) == ("agrees", True)
    elsewhere = {**cpu, "logits": cpu["logits"] + 1}
    assert script.of_provider(provider_called("openvino"), source, clips, elsewhere)["state"] == "differs"


@pytest.mark.parametrize("name", script.ARRAYS)
def test_what_is_not_installed_is_recorded_as_absent(name, tiny_bundle, monkeypatch):
    for module in ("torch", "cupy", "pycuda.autoprimaryctx"):
        monkeypatch.setitem(sys.modules, module, None)
    source = script.source_of(Bundle.open(tiny_bundle))
    seen = script.of_arrays(script.ARRAYS[name], source, np.zeros((1, 2, 64, 64, 3), np.uint8), {})
    assert seen["state"] == "absent"
    assert seen["reason"]
