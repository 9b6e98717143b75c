"""Fixtures that every part's tests share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

TESTS = Path(__file__).parent

VideoWriter = Callable[..., Path]


@pytest.fixture(scope="session")
def dev_data() -> Path:
    """Folder of the development data: $FLOWTELL_DEV_DATA, or `../shared/data` beside the checkout."""
    stated = os.environ.get("FLOWTELL_DEV_DATA")
    folder = Path(stated) if stated else TESTS.parent.parent / "shared" / "data"
    if not (folder / "clips" / "labels.csv").is_file():
        pytest.skip(f"no development data at {folder} (FLOWTELL_DEV_DATA names another folder)")
    return folder


@pytest.fixture(scope="session")
def tiny_bundle() -> Path:
    """Folder of the committed tiny bundle: S = 64, real graphs, random weights."""
    return TESTS / "bundles" / "tiny"


@pytest.fixture
def tiny_bundle_copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the tiny bundle that a test may damage."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


@pytest.fixture
def write_video(tmp_path: Path) -> VideoWriter:
    """Return `write(name, frames, ...) -> path`: writes `uint8 [H, W, 3]` RGB frames as a video file.

    Times are whole ticks of `time_base`; `ticks` gives one for each frame (1 apart by default).
    """

    def write(
        name: str,
        frames: Iterable[NDArray[np.uint8]],
        *,
        codec: str = "libx264",
        pix_fmt: str = "yuv420p",
        options: dict[str, str] | None = None,
        container_options: dict[str, str] | None = None,
        time_base: Fraction = Fraction(1, 25),
        ticks: Iterable[int] | None = None,
        source_format: str = "rgb24",
    ) -> Path:
        path = tmp_path / name
        pictures = list(frames)
        with av.open(str(path), "w", container_options=container_options or {}) as container:
            stream = container.add_stream(codec, rate=Fraction(1, 1) / time_base, options=options or {})
            stream.height, stream.width = pictures[0].shape[:2]
            stream.pix_fmt = pix_fmt
            stream.codec_context.time_base = time_base
            for picture, tick in zip(pictures, ticks or range(len(pictures)), strict=True):
                frame = av.VideoFrame.from_ndarray(picture, format=source_format)
                frame.pts, frame.time_base = tick, time_base
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path

    return write
