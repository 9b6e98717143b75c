"""Opens the C library with releases of ONNX Runtime from the package index, and compares what they say.

    make cpp
    python tests/cpp/try_runtimes.py [--build build/cpp] VERSION...

For each release: the sentence of the error where it cannot be used, or else the verdict on one case of the
conformance table and by how much its logits differ from those of the first release.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from conformance import RATE, images_of, load_table
from host_trace import stored_rgb, write_frames

ROOT = Path(__file__).resolve().parents[2]


def library_of(version: str, folder: Path) -> Path:
    """Download a release's wheel and return the shared library in it."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    subprocess.run([*command, f"onnxruntime=={version}"], check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (
            name
            for name in archive.namelist()
            if "/libonnxruntime." in name and name.split(".")[-1] != "dylib"
        )
        return Path(archive.extract(name, folder))


def logits_of(result: dict[str, Any]) -> list[float]:
    return [logit for face in result["faces"] for clip in face["clips"] for logit in clip["pair_logits"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("versions", nargs="+", metavar="VERSION")
    parser.add_argument("--build", type=Path, default=ROOT / "build/cpp", help="where `make cpp` built")
    chosen = parser.parse_args()
    case = load_table()[0]
    first: list[float] = []
    with tempfile.TemporaryDirectory() as scratch:
        frames = Path(scratch, "frames")
        write_frames(frames, (stored_rgb(image, index / RATE) for index, image in enumerate(images_of(case))))
        for version in chosen.versions:
            library = library_of(version, Path(scratch, version))
            with frames.open("rb") as stream:
                done = subprocess.run(
                    [
                        str(chosen.build / "tests/cpp/trace"),
                        str(ROOT / "tests/bundles" / case["bundle"]),
                        "0",
                    ],
                    stdin=stream,
                    capture_output=True,
                    text=True,
                    env={**os.environ, "FLOWTELL_ONNXRUNTIME": str(library)},
                )
            if done.returncode != 0:
                print(f"{version}: {done.stderr.strip()}")
                continue
            result = json.loads(done.stdout.splitlines()[-1])
            logits = logits_of(result)
            first = first or logits
            apart = max(abs(one - other) for one, other in zip(first, logits, strict=True))
            verdict = f"{result['verdict']} {result['fake_probability']:.6f}"
            print(f"{version}: {verdict}, logits differ by {apart:.2g}")


if __name__ == "__main__":
    main()
