"""Render the two sample videos of the package from one public-domain portrait.

    python scripts/render_samples.py [FOLDER]

``natural.mp4`` moves the portrait smoothly: head pose, blinks, gaze, speech, cheeks, a hand-held camera
and sensor noise. ``swapped.mp4`` shows the same motion, but the inner face is rendered anew for every frame
with its own small alignment, expression and colour error, as a per-frame face swap leaves behind.

The picture is scikit-image's ``astronaut`` (NASA, public domain). Nothing rendered here, and nothing in this
file, may enter training or calibration: a detector that has seen its own demonstration shows nothing by it.

Lengths in the portrait's own pixels end in ``_pp``; the videos show it ``ZOOM`` times larger.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray

Array = NDArray[Any]

SEED = 20190
SIZE_PX = 480
FRAMES = 97  # six clips of 16 pairs: 6 * 16 + 1
FRAMES_PER_S = 25
ZOOM = 2.0  # the face is 90 pixels wide in the portrait and 180 in the videos
SUPERSAMPLE = 2  # lids and lips have hard edges: render larger, then average
QUALITY_CRF = 19  # the same for both videos; about 250 kB each

VIEW_CENTRE_PP = (225.0, 122.0)
HEAD_CENTRE_PP = (225.0, 112.0)
MOUTH_CENTRE_PP = (223.5, 146.0)
CHIN_PP = 178.0
CHEEKS_PP = ((198.0, 124.0), (248.0, 126.0))
BROWS_PP = ((201.0, 89.0), (248.0, 92.0))


@dataclass(frozen=True)
class Eye:
    """One eye of the portrait: centre column, half width, and the rows of lids and brow there, in pp."""

    x: float
    half_width: float
    upper: float
    lower: float
    brow: float


EYES = (Eye(203.0, 11.5, 97.6, 105.0, 91.0), Eye(247.5, 12.5, 99.3, 106.6, 93.5))


@dataclass(frozen=True)
class Pose:
    """All that moves in one frame: shifts in pp, angles in radians, closures and openings in [0, 1]."""

    camera_x: float
    camera_y: float
    shift_x: float
    shift_y: float
    roll: float
    scale: float
    yaw: float
    pitch: float
    blink: float
    gaze_x: float
    gaze_y: float
    jaw: float
    smile: float
    brow: float


def wave(time_s: float, *parts: tuple[float, float, float]) -> float:
    """Sum of sines, each (amplitude, frequency in Hz, phase in turns): smooth, and never quite periodic."""
    return sum(a * math.sin(2 * math.pi * (f * time_s + p)) for a, f, p in parts)


def pulse(time_s: float, centre_s: float, width_s: float) -> float:
    """Return a raised cosine of height 1 around `centre_s`, zero outside `width_s`."""
    distance = abs(time_s - centre_s) / width_s
    return 0.5 + 0.5 * math.cos(2 * math.pi * distance) if distance < 0.5 else 0.0


def pose_at(time_s: float) -> Pose:
    """Pose of the moving portrait at a time: a person who talks, nods, and blinks twice."""
    speech = 0.35 + 0.65 * wave(time_s, (0.5, 0.45, 0.1)) ** 2 * 4
    syllables = 0.5 + wave(time_s, (0.32, 2.3, 0.0), (0.18, 3.7, 0.3))
    return Pose(
        camera_x=wave(time_s, (0.9, 0.21, 0.3), (0.25, 0.83, 0.1)),
        camera_y=wave(time_s, (0.7, 0.27, 0.7), (0.2, 0.97, 0.6)),
        shift_x=wave(time_s, (4.0, 0.31, 0.0), (1.3, 0.73, 0.4)),
        shift_y=wave(time_s, (2.5, 0.38, 0.2), (1.1, 0.91, 0.8)),
        roll=wave(time_s, (0.035, 0.29, 0.6), (0.012, 0.67, 0.2)),
        scale=1.0 + wave(time_s, (0.018, 0.24, 0.15), (0.005, 0.8, 0.5)),
        yaw=wave(time_s, (0.10, 0.33, 0.05), (0.04, 0.79, 0.5)),
        pitch=wave(time_s, (0.07, 0.41, 0.35), (0.03, 1.03, 0.0)),
        blink=min(1.0, 1.15 * (pulse(time_s, 1.02, 0.36) + pulse(time_s, 2.84, 0.32))),
        gaze_x=wave(time_s, (1.2, 0.37, 0.45), (0.4, 0.9, 0.2)),
        gaze_y=wave(time_s, (0.35, 0.5, 0.1)),
        jaw=float(np.clip(speech * syllables, 0.0, 1.0)),
        smile=wave(time_s, (0.6, 0.43, 0.9), (0.3, 1.1, 0.3)),
        brow=wave(time_s, (0.6, 0.35, 0.25), (0.25, 1.3, 0.5)),
    )


def bump(x: Array, y: Array, centre: tuple[float, float], radius_x: float, radius_y: float) -> Array:
    """Gaussian of height 1 around `centre`, falling to 0.61 at the radii."""
    height: Array = np.exp(-0.5 * (((x - centre[0]) / radius_x) ** 2 + ((y - centre[1]) / radius_y) ** 2))
    return height


def smooth_step(value: Array) -> Array:
    """0 below 0, 1 above 1, with zero slope at both ends."""
    value = np.clip(value, 0.0, 1.0)
    step: Array = value * value * (3 - 2 * value)
    return step


def head_coordinates(pose: Pose) -> tuple[Array, Array]:
    """Where in the unmoved head each pixel of a supersampled frame looks: two float32 [S, S] arrays in pp."""
    size = SIZE_PX * SUPERSAMPLE
    ticks = (np.arange(size, dtype=np.float32) + 0.5) / SUPERSAMPLE - SIZE_PX / 2
    x, y = np.meshgrid(ticks / ZOOM + VIEW_CENTRE_PP[0], ticks / ZOOM + VIEW_CENTRE_PP[1])
    x, y = x + np.float32(pose.camera_x), y + np.float32(pose.camera_y)

    # The head moves, the room does not: the motion fades out over a wide ring, so that nothing tears.
    ring = np.hypot((x - HEAD_CENTRE_PP[0]) / 88, (y - HEAD_CENTRE_PP[1] + 8) / 92)
    held = 1 - smooth_step((ring - 1.0) / 0.55)
    dx, dy = x - HEAD_CENTRE_PP[0] - pose.shift_x, y - HEAD_CENTRE_PP[1] - pose.shift_y
    keystone = 1 + (dx * pose.yaw + dy * pose.pitch) * 4e-4
    cos, sin = math.cos(pose.roll) / pose.scale, math.sin(pose.roll) / pose.scale
    moved_x = (cos * dx + sin * dy) * keystone + HEAD_CENTRE_PP[0]
    moved_y = (cos * dy - sin * dx) * keystone + HEAD_CENTRE_PP[1]
    x, y = x + held * (moved_x - x), y + held * (moved_y - y)

    # Turning brings near parts further than far ones: an ellipsoid of a head, with a nose on it.
    radius = np.hypot((x - 224) / 72, (y - 112) / 90)
    depth_pp = 38 * (1 - smooth_step(radius)) + 9 * bump(x, y, (223, 122), 8, 11)
    return x - math.sin(pose.yaw) * depth_pp, y - math.sin(pose.pitch) * depth_pp


def face_coordinates(x: Array, y: Array, pose: Pose) -> tuple[Array, Array, Array]:
    """Undo the expression: where in the portrait each point of the head looks, and what is open mouth.

    Takes and gives float32 [S, S] in pp; the third array is the share of mouth interior, in [0, 1].
    """
    source_x, source_y = x.copy(), y.copy()
    lift = bump(x, y, CHEEKS_PP[0], 11, 9) + bump(x, y, CHEEKS_PP[1], 11, 9)
    source_y += 1.5 * pose.smile * lift + 1.2 * pose.jaw * lift
    source_y += 1.8 * pose.brow * (bump(x, y, BROWS_PP[0], 12, 5) + bump(x, y, BROWS_PP[1], 12, 5))
    narrow = bump(x, y, MOUTH_CENTRE_PP, 20, 10)
    source_x += (x - MOUTH_CENTRE_PP[0]) * narrow * (0.07 * pose.jaw - 0.05 * pose.smile)

    for eye in EYES:
        arch = np.clip(1 - ((x - eye.x) / eye.half_width) ** 2, 0, None)
        middle = eye.upper + 0.55 * (eye.lower - eye.upper)
        upper = middle - (middle - eye.upper) * arch
        lid = upper + pose.blink * (eye.lower - eye.upper) * arch
        skin = np.clip((y - eye.brow) / (lid - eye.brow), 0, 1)
        source_y -= np.where(y < lid, (lid - upper) * skin, 0)
        ball = np.where(y < lid, 0, bump(x, y, (eye.x, middle), 5.0, 3.4))
        source_x -= pose.gaze_x * ball
        source_y -= pose.gaze_y * ball

    # The lower lip and the chin drop; between the teeth and the lip the mouth is dark.
    across = np.clip(1 - ((x - MOUTH_CENTRE_PP[0]) / 21) ** 2, 0, None)
    teeth = 141.0 + 8.2 * across
    gap_pp = 5.0 * pose.jaw * np.sqrt(across) * across
    drop_pp = 5.0 * pose.jaw * bump(x, np.full_like(y, CHIN_PP), (MOUTH_CENTRE_PP[0], CHIN_PP), 24, 1)
    below = np.where(y > teeth + gap_pp, np.minimum(gap_pp + 0.12 * (y - teeth - gap_pp), drop_pp), 0)
    source_y -= below * (1 - smooth_step((y - CHIN_PP) / 26))
    interior = np.clip((y - teeth) / 0.7, 0, 1) * np.clip((teeth + gap_pp - y) / 0.7, 0, 1)
    return source_x, source_y, interior


def look_up(portrait: NDArray[np.uint8], x: Array, y: Array, pose: Pose) -> Array:
    """Colour of head points [S, S] under a pose's expression: float32 [S, S, 3] RGB in [0, 255]."""
    source_x, source_y, interior = face_coordinates(x, y, pose)
    picture = cv2.remap(
        portrait.astype(np.float32), source_x, source_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    dark = np.array([58, 26, 24], np.float32)
    shown: Array = picture + interior[..., None] * (dark - picture)
    return shown


def shrink(image: Array) -> Array:
    """Average a supersampled picture or mask down to the size of a frame."""
    shrunk: Array = cv2.resize(image, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA)
    return shrunk


def sensor_noise(index: int) -> Array:
    """Noise of a small camera, float32 [SIZE_PX, SIZE_PX, 3] in levels: mostly brightness, blurred a bit."""
    random = np.random.default_rng([SEED, 0, index])
    brightness = random.normal(0, 2.6, (SIZE_PX, SIZE_PX, 1))
    colour = random.normal(0, 1.0, (SIZE_PX, SIZE_PX, 3))
    return cv2.GaussianBlur((brightness + colour).astype(np.float32), (0, 0), 0.7)


def estimated(pose: Pose, random: np.random.Generator) -> Pose:
    """Pose as a face swap estimates it for one frame: the next frame has another error."""
    values = {name: getattr(pose, name) for name in Pose.__dataclass_fields__}
    errors = {"blink": 0.05, "jaw": 0.06, "smile": 0.12, "gaze_x": 0.25, "gaze_y": 0.1, "brow": 0.1}
    for name, error in errors.items():
        values[name] += random.normal(0, error)
    values["blink"] = min(max(values["blink"], 0.0), 1.0)
    values["jaw"] = min(max(values["jaw"], 0.0), 1.0)
    return Pose(**values)


def swapped_face(
    portrait: NDArray[np.uint8], x: Array, y: Array, pose: Pose, index: int
) -> tuple[Array, Array]:
    """One frame's swapped face, float32 [SIZE_PX, SIZE_PX, 3] in levels, and its mask [.., .., 1]."""
    random = np.random.default_rng([SEED, 1, index])
    pose = estimated(pose, random)
    shift_pp = np.clip(random.normal(0, 0.75, 2), -1.5, 1.5) / ZOOM
    roll = np.clip(random.normal(0, 0.006), -0.012, 0.012)
    scale = 1 + np.clip(random.normal(0, 0.006), -0.012, 0.012)
    gain = 1 + random.normal(0, 0.012) + random.normal(0, 0.006, 3)

    dx, dy = x - HEAD_CENTRE_PP[0], y - HEAD_CENTRE_PP[1]
    x = (scale * (dx - roll * dy) + HEAD_CENTRE_PP[0] + shift_pp[0]).astype(np.float32)
    y = (scale * (dy + roll * dx) + HEAD_CENTRE_PP[1] + shift_pp[1]).astype(np.float32)

    face = shrink(look_up(portrait, x, y, pose))
    # Swap networks work at about 128 px a face; here that is two thirds of the frame's resolution.
    coarse = cv2.resize(face, None, fx=0.66, fy=0.66, interpolation=cv2.INTER_AREA)
    face = cv2.resize(coarse, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_LINEAR) * gain.astype(np.float32)
    # From the brows to the chin and from cheek to cheek, faded over a fifth of the radius.
    radius = np.hypot((x - 224.5) / 42, (y - 127) / 45)
    return face, shrink(1 - smooth_step((radius - 0.8) / 0.25))[..., None]


def render_frame(portrait: NDArray[np.uint8], index: int, swapped: bool) -> NDArray[np.uint8]:
    """Frame `index` of one of the videos, uint8 [SIZE_PX, SIZE_PX, 3] RGB; needs no frame before it."""
    pose = pose_at(index / FRAMES_PER_S)
    x, y = head_coordinates(pose)
    frame = shrink(look_up(portrait, x, y, pose)) + sensor_noise(index)
    if swapped:
        face, mask = swapped_face(portrait, x, y, pose, index)
        frame += mask * (face - frame)
    rounded: NDArray[np.uint8] = np.clip(np.rint(frame), 0, 255).astype(np.uint8)
    return rounded


def write_video(path: Path, swapped: bool) -> None:
    """Render one video and encode it as H.264 in one thread, so that every run gives the same file."""
    portrait: NDArray[np.uint8] = skimage.data.astronaut()  # type: ignore[no-untyped-call]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_S)
        stream.width = stream.height = SIZE_PX
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        stream.options = {"crf": str(QUALITY_CRF), "preset": "slow"}
        for index in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(render_frame(portrait, index, swapped), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def main() -> None:
    """Write both videos into a folder, the package's own unless told otherwise."""
    package = Path(__file__).resolve().parent.parent / "engine" / "flowtell" / "samples"
    parser = argparse.ArgumentParser(description="Render natural.mp4 and swapped.mp4.")
    parser.add_argument("folder", nargs="?", type=Path, default=package)
    folder = parser.parse_args().folder
    for name in ("natural", "swapped"):
        path = folder / f"{name}.mp4"
        write_video(path, swapped=name == "swapped")
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
