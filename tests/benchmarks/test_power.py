"""Energy of a verdict, from what `nvidia-smi` prints; where no GPU is, a program stands in for it."""

import json
import sys
import time

import pytest

from flowtell.benchmarks._cli import summary
from flowtell.benchmarks.power import GpuPower, energy_of, watching_gpu
from flowtell.benchmarks.scenarios import Query, Round


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """Put a program on the path that prints these lines for ever and writes down how it was called."""

    def plant(*lines):
        program = tmp_path / "nvidia-smi"
        program.write_text(
            f"""#!{sys.executable}
import json, sys, time
json.dump(sys.argv[1:], open({str(tmp_path / "asked.json")!r}, "w"))
while True:
    for line in {lines!r}:
        print(line, flush=True)
        time.sleep(0.1)
"""
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        return tmp_path / "asked.json"

    return plant


def round_of(began_s, ended_s, verdicts):
    """Return a round of one query with so many samples."""
    query = Query(tuple(range(verdicts)), began_s, ended_s, (None,) * verdicts)
    return Round((query,), began_s, ended_s, 0.0)


def watched(power, enough):
    """Wait until so much was read; return a round of two verdicts that lasted as long."""
    began_s = time.perf_counter()
    while not enough(power) and time.perf_counter() < began_s + 30:
        time.sleep(0.01)
    return round_of(began_s, time.perf_counter(), 2)


def test_readings_come_while_it_lasts_and_end_with_it(nvidia_smi):
    asked = nvidia_smi("71.25", "92.75")
    with watching_gpu() as power:
        one = watched(power, lambda p: len(p.readings) >= 4)
    count = len(power.readings)
    assert {watts for _, watts in power.readings} == {71.25, 92.75}
    energy = energy_of(power, [one])
    assert energy["verdict_j"] == pytest.approx(energy["mean_power_w"] * (one.ended_s - one.began_s) / 2)
    assert 71.25 < energy["mean_power_w"] < 92.75
    assert len(power.readings) == count
    assert "--query-gpu=power.draw" in json.loads(asked.read_text())


def test_only_what_was_read_during_rounds_counts():
    power = GpuPower([(0.5, 40.0), (1.5, 100.0), (2.5, 40.0), (3.5, 120.0), (4.5, 40.0)])
    energy = energy_of(power, [round_of(1.0, 2.0, 4), round_of(3.0, 4.0, 7)])
    assert energy == {"mean_power_w": 110.0, "readings": 2, "verdict_j": 20.0}


def test_a_gpu_that_does_not_tell_is_said_so(nvidia_smi):
    nvidia_smi("[N/A]")
    with watching_gpu() as power:
        one = watched(power, lambda p: p.missing)
    assert energy_of(power, [one]) == {"missing": "nvidia-smi says: [N/A]"}


def test_where_nothing_reads_it_the_report_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with watching_gpu() as power:
        pass
    energy = energy_of(power, [round_of(0.0, 1.0, 1)])
    assert energy == {"missing": "nvidia-smi, which reads it, is not here"}
    assert "  power of the GPU not measured: nvidia-smi, which reads it, is not here" in lines_with(energy)
    told = lines_with({"mean_power_w": 310.4, "readings": 50, "verdict_j": 1.234})
    assert "  the GPU drew 310 W: 1.23 J a verdict" in told


def lines_with(energy):
    """Return the summary of a report with this energy."""
    report = {
        "valid": True, "reasons": [], "load": {"scenario": "offline"}, "provider": "CUDAExecutionProvider",
        "precision": "fp16", "threads": 1, "samples": {"pairs": 16}, "pairs_per_s": 1600.0,
        "samples_per_s": {"median": 100.0, "rounds": [99.0, 101.0]}, "latency_ms": {},
        "share_of_gemm_ceiling": 0.5, "ceilings": {"gemm_gflops": 50000}, "energy": energy,
        "cold_start": {"import_ms": 1, "open_ms": 1, "first_clip_ms": 1, "peak_memory_mb": 1},
    }  # fmt: skip
    return summary({**report, "latency_ms": {"p90_bound": None, "p99_bound": None}})
