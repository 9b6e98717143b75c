"""Fuzzes the door through which videos come: mutated files, read through the decoder process.

    python tests/media/fuzz.py --minutes 30 --out FOLDER

Iteration i mutates by a generator that is seeded with (--seed, i), so a run that was cut off goes on where it
was and any finding can be made again. A finding is a file on which the decoder broke down or hung, one whose
frames are not what they are said to be, or any error but `DecodeError`. They are kept in FOLDER; the summary
is FOLDER/summary.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path

import av
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from media.mutate import mutate
from media.seeds import CODECS, CONTAINERS, face_frames, write_seed

from flowtell import DecodeError
from flowtell._decode_limits import DecodeLimits
from flowtell._frames import open_frames

SEED_FRAMES, SEED_SIDE_PX = 8, 64
LIMITS = DecodeLimits(frame_s=10, cpu_s=10, memory_bytes=1 << 30)
MAX_FRAMES = 2000
"""A file of a few thousand bytes that gives more frames is counted and left."""


def main() -> None:
    """Run for the time that was asked for; print the summary."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    summary = Fuzzer(arguments.out, arguments.seed).run(60 * arguments.minutes)
    print(json.dumps(summary, indent=1))


class Fuzzer:
    """The state of a run: how far it is, how files ended, what was found."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._seed = seed
        self._progress = folder / "summary.json"
        said = json.loads(self._progress.read_text()) if self._progress.exists() else {}
        self._iteration = int(said.get("files", 0))
        self._spent_s = float(said.get("seconds", 0))
        self._slowest_s = float(said.get("slowest_s", 0))
        self._ends = Counter(said.get("ends", {}))
        self._findings = list(said.get("findings", []))
        frames = face_frames(SEED_FRAMES, SEED_SIDE_PX)
        self._seeds = [write_seed(recipe, folder, frames) for recipe in (*CONTAINERS, *CODECS)]
        self._contents = [path.read_bytes() for path in self._seeds]

    def run(self, seconds: float) -> dict[str, object]:
        """Go on until the run as a whole has taken `seconds`; return its summary."""
        begun_s = time.monotonic() - self._spent_s
        while time.monotonic() - begun_s < seconds:
            self._one()
            if self._iteration % 200 == 0:
                self._save(time.monotonic() - begun_s)
        return self._save(time.monotonic() - begun_s)

    def _one(self) -> None:
        rng = np.random.default_rng([self._seed, self._iteration])
        which = int(rng.integers(len(self._seeds)))
        path = self._folder / f"mutant{self._seeds[which].suffix}"
        data = mutate(self._contents[which], self._contents, rng)
        path.write_bytes(data)
        begun_s = time.monotonic()
        end = self._read(path)
        self._slowest_s = max(self._slowest_s, time.monotonic() - begun_s)
        self._ends[end] += 1
        if end.startswith("FINDING"):
            kept = self._folder / f"finding-{self._iteration}{path.suffix}"
            kept.write_bytes(data)
            self._findings.append({"file": kept.name, "seed": self._seeds[which].name, "end": end})
            self._save(self._spent_s)
        self._iteration += 1

    def _read(self, path: Path) -> str:
        """Read a file to its end; return how that went."""
        count = 0
        try:
            with open_frames(path, LIMITS) as source:
                for frame in source:
                    count += 1
                    if frame.image.ndim != 3 or frame.image.shape[2] != 3 or not np.isfinite(frame.time_s):
                        return "FINDING frame"
                    if count == MAX_FRAMES:
                        return "many frames"
        except DecodeError as error:
            if error.state == "timed_out" or "broke down" in str(error):
                return f"FINDING {error.state}: {error}"
            return error.state
        except Exception as error:  # whatever comes out is what the fuzzer is there to see
            return f"FINDING {type(error).__name__}: {error}"
        return "ok"

    def _save(self, spent_s: float) -> dict[str, object]:
        self._spent_s = spent_s
        summary = {
            "files": self._iteration,
            "seconds": round(spent_s, 1),
            "slowest_s": round(self._slowest_s, 2),
            "seed": self._seed,
            "seeds": [path.name for path in self._seeds],
            "libraries": {"av": av.__version__, "libavcodec": av.library_versions["libavcodec"]},
            "ends": dict(self._ends),
            "findings": self._findings,
        }
        self._progress.write_text(json.dumps(summary, indent=1))
        return summary


if __name__ == "__main__":
    main()
