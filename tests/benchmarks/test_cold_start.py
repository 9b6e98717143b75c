"""What a first verdict costs is measured with the settings that the run has."""

from pathlib import Path

import numpy as np
import pytest

from flowtell import ProviderError
from flowtell.benchmarks import cold_start as cold_start_module
from flowtell.benchmarks.cold_start import cold_start
from flowtell.benchmarks.machine import peak_memory_mb


def test_the_fresh_process_has_the_run_s_threads(tiny_bundle, tmp_path):
    """As many as no detector takes are refused there, so what was asked for arrives."""
    clip = np.zeros((2, 64, 64, 3), np.uint8)
    with pytest.raises(ProviderError, match=r"could not judge one clip: .*threads must be .*, not 257"):
        cold_start(tiny_bundle, "cpu", "fp32", 257, clip, tmp_path)
    found = cold_start(tiny_bundle, "cpu", "fp32", 1, clip, tmp_path)
    assert all(value > 0 for value in found.values())


def test_a_fresh_process_that_dies_without_a_word_is_said_to_have_ended(tiny_bundle, tmp_path, monkeypatch):
    """As where memory is short."""
    monkeypatch.setattr(
        cold_start_module, "_PROGRAM", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    )
    with pytest.raises(ProviderError, match="could not judge one clip: it ended with -9"):
        cold_start(tiny_bundle, "cpu", "fp32", 1, np.zeros((2, 64, 64, 3), np.uint8), tmp_path)


def test_memory_is_counted_in_megabytes():
    block = np.ones(300_000_000, np.uint8)
    assert peak_memory_mb() > block.nbytes / 1e6
    status = Path("/proc/self/status").read_text()
    assert peak_memory_mb() == pytest.approx(1.024e-3 * int(status.split("VmHWM:")[1].split()[0]), rel=0.01)
