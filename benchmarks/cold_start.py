"""What the first verdict costs: a fresh process that imports, opens the bundle and judges one face clip."""

import json
import subprocess
import sys

import numpy as np

from flowtell import ProviderError
from flowtell.benchmarks._child import last_line

__all__ = ["cold_start"]

_PROGRAM = """
import json, sys, time
begun = time.perf_counter()
import numpy
import flowtell
imported = time.perf_counter()
_, bundle, provider, clip, precision, threads = sys.argv
detector = flowtell.Detector.open(bundle, provider=provider, precision=precision, threads=int(threads))
opened = time.perf_counter()
detector.score_clips(numpy.load(clip, allow_pickle=False)[None])
first = time.perf_counter()
detector.score_clips(numpy.load(clip, allow_pickle=False)[None])
second = time.perf_counter()
from flowtell.benchmarks.machine import peak_memory_mb
print(json.dumps({
    "import_ms": 1e3 * (imported - begun),
    "open_ms": 1e3 * (opened - imported),
    "first_clip_ms": 1e3 * (first - opened),
    "second_clip_ms": 1e3 * (second - first),
    "peak_memory_mb": peak_memory_mb(),
}))
"""


def cold_start(bundle_folder, provider, precision, threads, clip, folder):
    """Return a dict: `import_ms`, `open_ms`, `first_clip_ms`, `second_clip_ms` and `peak_memory_mb`.

    The files are warm in the system's cache: what is cold is the process.

    Args:
        bundle_folder: of the bundle.
        provider: name of the provider.
        precision: that the detector computes in.
        threads: of the detector.
        clip: uint8 `[T+1, S, S, 3]`.
        folder: a scratch folder.

    Raises:
        flowtell.ProviderError: where the process fails, with its last words.
    """
    path = folder / "clip.npy"
    np.save(path, clip)
    words = [str(bundle_folder), provider, str(path), precision, str(threads)]
    command = [sys.executable, "-c", _PROGRAM, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = last_line(done.stderr, done.returncode)
        raise ProviderError(f"a fresh process could not judge one clip: {last}")
    return {name: round(value, 1) for name, value in json.loads(done.stdout).items()}
