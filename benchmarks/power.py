"""The power of an NVIDIA GPU while it judges, so that a verdict has its energy.

`nvidia-smi` is asked ten times a second, by a process of its own: it comes with the driver, and what it costs
does not fall on the cores that are timed as a thread in this process would.
"""

import shutil
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field

from flowtell import _provider_cuda, _provider_tensorrt, _provider_tensorrt_plan

__all__ = ["GPU_PROVIDERS", "GpuPower", "energy_of", "watching_gpu"]

GPU_PROVIDERS = frozenset(p.NAME for p in (_provider_cuda, _provider_tensorrt, _provider_tensorrt_plan))
"""Names, as a `flowtell.Detector` reports them, of the providers that compute on a GPU."""

_PERIOD_MS = 100
_COMMAND = ("--query-gpu=power.draw", "--format=csv,noheader,nounits", f"--loop-ms={_PERIOD_MS}", "--id=0")


@dataclass
class GpuPower:
    """What a GPU drew.

    Attributes:
        readings: `(when, watts)` each, `when` in seconds of `time.perf_counter`.
        missing: why there is none; None where there may be some.
    """

    readings: list = field(default_factory=list)
    missing: str | None = None


@contextmanager
def watching_gpu():
    """Read the power of the first GPU while the context lasts; gives a `GpuPower` that fills meanwhile."""
    program = shutil.which("nvidia-smi")
    if program is None:
        yield GpuPower(missing="nvidia-smi, which reads it, is not here")
        return
    power = GpuPower()
    child = subprocess.Popen(
        [program, *_COMMAND], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    reader = threading.Thread(target=_read, args=(child.stdout, power), daemon=True)
    reader.start()
    try:
        yield power
    finally:
        child.terminate()
        child.wait()
        reader.join()  # what was read is there, all of it
        child.stdout.close()


def energy_of(power, rounds):
    """Return the mean power and the energy of a verdict while rounds ran, as a dict of plain values.

    Args:
        power: a `GpuPower`.
        rounds: `scenarios.Round`s by the clock `time.perf_counter`; each sample of a query is a verdict.
    """
    watts = [w for when, w in power.readings if any(r.began_s <= when <= r.ended_s for r in rounds)]
    if not watts:
        return {"missing": power.missing or "nvidia-smi gave no reading while a round ran"}
    mean_w = sum(watts) / len(watts)
    seconds = sum(one.ended_s - one.began_s for one in rounds)
    verdicts = sum(len(query.samples) for one in rounds for query in one.queries)
    return {"mean_power_w": mean_w, "readings": len(watts), "verdict_j": mean_w * seconds / verdicts}


def _read(lines, power):
    for line in lines:
        try:
            power.readings.append((time.perf_counter(), float(line)))
        except ValueError:
            # "[N/A]" of a GPU that does not tell, or an error's words
            power.missing = f"nvidia-smi says: {line.strip()}"
