"""The bundled samples are what their renderer makes, and nothing that learns may see them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest
from tolerances import TOLERANCES

from flowtell import samples

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/render_samples.py"
INDEXES = (0, 25, 90)  # eyes open, eyes shut, mouth open

FORBIDDEN_IN_TRAINING = (
    "flowtell.samples",
    "render_samples",
    "natural_path",
    "swapped_path",
    "data.astronaut",
    '"astronaut',
)


@pytest.fixture(scope="module")
def renderer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("render_samples", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["render_samples"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    data = pytest.importorskip("skimage.data", reason="the portrait comes from scikit-image")
    return data.astronaut()


def decoded(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.mark.parametrize("path", [samples.natural_path(), samples.swapped_path()], ids=lambda path: path.stem)
def test_file_is_small_and_plays_anywhere(path: Path, renderer: ModuleType) -> None:
    assert path.stat().st_size < 400_000
    with av.open(str(path)) as container:
        (stream,) = container.streams
        context = stream.codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert (context.width, context.height) == (renderer.SIZE_PX, renderer.SIZE_PX)
        assert stream.average_rate == renderer.FRAMES_PER_S
        assert len(list(container.decode(video=0))) == renderer.FRAMES


@pytest.mark.parametrize("swapped", [False, True])
def test_stored_frames_are_the_rendered_ones(
    renderer: ModuleType, portrait: np.ndarray, swapped: bool
) -> None:
    stored = decoded(samples.swapped_path() if swapped else samples.natural_path())
    for index in INDEXES:
        frame = renderer.render_frame(portrait, index, swapped)
        assert np.array_equal(frame, renderer.render_frame(portrait, index, swapped))
        difference = np.abs(frame.astype(float) - stored[index]).mean()
        assert difference < TOLERANCES["sample_decoded_levels"].value
        # The bound tells one frame from the next, so it would notice another motion too.
        following = np.abs(frame.astype(float) - stored[index + 1]).mean()
        assert following > TOLERANCES["sample_decoded_levels"].value


def test_only_the_inner_face_is_swapped(renderer: ModuleType, portrait: np.ndarray) -> None:
    for index in INDEXES:
        natural = renderer.render_frame(portrait, index, swapped=False).astype(int)
        swapped = renderer.render_frame(portrait, index, swapped=True).astype(int)
        changed = np.abs(natural - swapped).max(axis=2) > 0
        assert 0.03 < changed.mean() < 0.16
        # The inner face stays within these 220x210 of the 480x480 px; all the rest is the same bytes.
        changed[140:360, 140:350] = False
        assert not changed.any()


def test_motion_is_smooth_and_the_swapped_face_is_not(renderer: ModuleType) -> None:
    poses = [renderer.pose_at(index / renderer.FRAMES_PER_S) for index in range(renderer.FRAMES)]
    shift = np.array([[pose.shift_x, pose.shift_y] for pose in poses]) * renderer.ZOOM
    assert np.abs(np.diff(shift, n=2, axis=0)).max() < 0.25  # px a frame squared: nothing jumps

    cv2 = pytest.importorskip("cv2", reason="the shift is measured with OpenCV")
    inner = (slice(170, 330), slice(160, 310))
    pairs = zip(decoded(samples.natural_path()), decoded(samples.swapped_path()), strict=True)
    grey = [[frame[inner].mean(axis=2).astype(np.float32) for frame in pair] for pair in pairs]
    error_px = np.array([cv2.phaseCorrelate(*pair)[0] for pair in grey])
    assert np.abs(error_px).max() < 2.5
    assert 0.4 < np.abs(np.diff(error_px, axis=0)).mean() < 1.5


@pytest.mark.parametrize("folder", ["training", "export"])
def test_nothing_that_learns_knows_the_samples(folder: str) -> None:
    sources = sorted((ROOT / folder).rglob("*.py"))
    assert sources
    for source in sources:
        text = source.read_text()
        for word in FORBIDDEN_IN_TRAINING:
            assert word not in text, f"{source.relative_to(ROOT)} must not use the demonstration: {word}"
