"""What a first verdict costs is measured with the settings that the run has."""

import numpy as np
import pytest

from flowtell.benchmarks.cold_start import cold_start


def test_the_fresh_process_has_the_run_s_threads(tiny_bundle, tmp_path):
    """As many as no detector takes are refused there, so what was asked for arrives."""
    clip = np.zeros((2, 64, 64, 3), np.uint8)
    with pytest.raises(RuntimeError, match=r"could not judge one clip: .*threads must be .*, not 257"):
        cold_start(tiny_bundle, "cpu", "fp32", 257, clip, tmp_path)
    found = cold_start(tiny_bundle, "cpu", "fp32", 1, clip, tmp_path)
    assert all(value > 0 for value in found.values())
