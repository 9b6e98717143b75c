"""Writes the fuzzers' seeds: the bytes of the committed bundle and of every hostile one, and a plain video.

python tests/cpp/fuzz/make_corpus.py FOLDER
"""

from __future__ import annotations

import struct
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hostile_bundles import CASES, TINY

MANIFEST, GRAPH, DISK = b"\x01", b"\x08", b"\x00"
MAX_SEED_BYTES = 1 << 15


def main(folder: Path) -> None:
    bundle, stream = folder / "bundle", folder / "stream"
    bundle.mkdir(parents=True, exist_ok=True)
    stream.mkdir(parents=True, exist_ok=True)
    sources = {"tiny": TINY}
    with tempfile.TemporaryDirectory() as scratch:
        for case in CASES:
            sources[case.name] = Path(scratch, case.name, "bundle")
            sources[case.name].parent.mkdir()
            case.write(sources[case.name])
        for name, source in sources.items():
            for path in source.iterdir():
                if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_SEED_BYTES:
                    continue
                for kind in [MANIFEST] if path.suffix == ".json" else [GRAPH, DISK]:
                    (bundle / f"{name}-{path.name}-{kind[0]}").write_bytes(kind + path.read_bytes())
    # pushes of growing levels: call 2, an even format, 64 x 48 px, no gap, time, levels; then the rest
    for pixel_format in range(1, 7):
        pushes = b"".join(
            struct.pack("<BBBBBfBB", 2, pixel_format, 64, 48, 0, n / 25, n, 128) for n in range(12)
        )
        end = b"\x00\x00" + b"\x01" + struct.pack("<i8s", 0, b"camera")
        (stream / f"format-{pixel_format}").write_bytes(b"\x00" + pushes + end)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python tests/cpp/fuzz/make_corpus.py FOLDER")
    main(Path(sys.argv[1]))
