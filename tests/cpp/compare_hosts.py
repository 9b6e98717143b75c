"""Judges the same decoded frames in Python, C and C++ and says whether every bit of what they say is equal.

    make cpp
    python tests/cpp/compare_hosts.py [--frames N] [--build build/cpp] [--bundle DIR] [--json FILE] VIDEO...

Exit code 0: all agree; 1: some do not, and what differs is printed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import sys
import sysconfig
import tempfile
from pathlib import Path

import onnxruntime

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from host_trace import PythonHost, differences, stored_rgb, trace_of_c_hosts, write_frames

from flowtell._bundle import default_bundle_path
from flowtell._decode import VideoReader

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("videos", nargs="+", type=Path, metavar="VIDEO")
    parser.add_argument("--frames", type=int, default=80, help="of each video (80)")
    parser.add_argument("--build", type=Path, default=ROOT / "build/cpp", help="where `make cpp` built")
    parser.add_argument("--bundle", type=Path, default=default_bundle_path())
    parser.add_argument("--json", type=Path, help="write the figures there")
    chosen = parser.parse_args()
    capi = Path(sysconfig.get_path("purelib"), "onnxruntime", "capi")
    (runtime,) = capi.glob("libonnxruntime.*.[0-9]*")
    host = PythonHost(chosen.bundle)
    totals = {"videos": 0, "frames": 0, "clips": 0, "pairs": 0, "videos_that_differ": 0}
    for video in chosen.videos:
        with VideoReader(video) as reader:
            frames = list(itertools.islice(reader, chosen.frames))
        with tempfile.TemporaryDirectory() as folder:
            stored = Path(folder, "frames")
            write_frames(stored, (stored_rgb(frame.image, frame.time_s) for frame in frames))
            expected = host.trace(frames)
            found = []
            for program in ("trace", "trace_wrapper"):
                traced = trace_of_c_hosts(chosen.build, runtime, chosen.bundle, stored, program=program)
                found += [f"{program}: {difference}" for difference in differences(expected, traced)]
        totals["videos"] += 1
        totals["frames"] += len(frames)
        totals["clips"] += len(expected.clips)
        totals["pairs"] += json.loads(expected.result)["pairs_judged"]
        totals["videos_that_differ"] += bool(found)
        print(f"{video.name}: {len(frames)} frames, {len(expected.clips)} clips, {len(found)} differences")
        for difference in found:
            print(f"  {difference}")
    print(", ".join(f"{count} {name}" for name, count in totals.items()))
    if chosen.json:
        machine = {
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "onnxruntime": onnxruntime.__version__,
        }
        chosen.json.write_text(json.dumps({**totals, **machine}, indent=2) + "\n", encoding="utf-8")
    return int(totals["videos_that_differ"] > 0)


if __name__ == "__main__":
    sys.exit(main())
