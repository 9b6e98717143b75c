"""The machine that a benchmark ran on, in words: figures without it mean nothing."""

import importlib.metadata
import os
import platform
import sys
from pathlib import Path

from flowtell._usable_cores import usable_cores

__all__ = ["cpu_name", "machine_context", "peak_memory_mb", "processor_of"]

_DISTRIBUTIONS = (
    "numpy",
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "tensorflow-cpu",
    "tensorflow",
    "keras",
    "torch",
)
_CPU_FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "asimd")


def cpu_name():
    """Return what the processor calls itself, or `unknown`."""
    return _cpu_field("model name") or platform.processor() or "unknown"


def machine_context():
    """Return a dict of everything about this machine that a speed depends on."""
    flags = set((_cpu_field("flags") or _cpu_field("Features")).split())
    return {
        "cpu": cpu_name(),
        "cpu_features": [name for name in _CPU_FEATURES if name in flags],
        "cores": usable_cores(),
        "memory_gb": _memory_gb(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: version for name in _DISTRIBUTIONS if (version := _version(name))},
    }


def processor_of(context):
    """Return what two `machine_context`s must share for their speeds to be comparable."""
    return context["cpu"], context["cores"]


def peak_memory_mb():
    """Return the largest resident memory of this process so far, in MB of 10^6 bytes."""
    if sys.platform == "linux":
        # getrusage would count the peak of the process that this one was forked from
        kib = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
        return kib * 1024 / 1e6
    import resource  # POSIX alone has it

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def _cpu_field(name):
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "")


def _memory_gb():
    if not hasattr(os, "sysconf"):
        return None
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)


def _version(distribution):
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
