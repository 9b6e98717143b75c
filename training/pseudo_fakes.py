"""Pseudo-fakes: real face clips in which a part of the face is re-rendered frame by frame.

What every face swap and re-enactment shares is that the face of a frame is made without knowing that of the
frame before. Here the face, the mouth or the eyes of a real clip are drawn again in each frame with a small
error of pose, size, light and outline of their own, at a lower resolution, and blended in. So they show what
manipulated motion is like without a single manipulated video. The idea is that of self-blended images
(Shiohara and Yamasaki, CVPR 2022), carried from single pictures to motion.
"""

import io
from dataclasses import dataclass
from itertools import pairwise

import av
import cv2
import numpy as np

__all__ = ["PARTS", "PseudoFakeConfig", "pseudo_fake", "recompressed"]

PARTS = ("face", "mouth", "eyes")

# Where the parts lie, as shares of the crop's side from its centre, with the spread of faces: (y of the
# centre, half-width, half-height), each (low, high). A crop is 1.3 times the face's box.
_PLACES = {
    "face": ((-0.01, 0.055), (0.19, 0.26), (0.23, 0.33)),
    "mouth": ((0.155, 0.21), (0.10, 0.17), (0.07, 0.13)),
    "eyes": ((-0.10, -0.025), (0.17, 0.23), (0.05, 0.09)),
}
_MOUTH_Y, _MOUTH_HALF_WIDTH, _MOUTH_HALF_HEIGHT = 0.18, 0.10, 0.07
# A face hardly moves further between two frames; what phase correlation says beyond it is a mistake.
_MAX_STEP_SHARE = 0.05


@dataclass(frozen=True)
class PseudoFakeConfig:
    """How strong the errors of a frame are. Ranges are (low, high).

    Attributes:
        jitter_px: standard deviation of the position, drawn log-uniformly; on crops of 256 px.
        memory: correlation of an error with that of the frame before.
        resolution: of the re-rendered part, as a share of the crop's.
        feather: width of the blended rim, as a share of the part's radius.
        crf: of H.264, for what is compressed again (see `recompressed`).
    """

    jitter_px: tuple[float, float] = (0.2, 1.2)
    memory: tuple[float, float] = (0.0, 0.8)
    resolution: tuple[float, float] = (0.3, 0.9)
    feather: tuple[float, float] = (0.15, 0.5)
    crf: tuple[int, int] = (18, 33)


@dataclass(frozen=True)
class _Errors:
    """What is wrong in each frame: arrays with one row a frame; lengths in px."""

    shift: np.ndarray
    roll: np.ndarray
    scale: np.ndarray
    gain: np.ndarray
    outline_shift: np.ndarray
    outline_scale: np.ndarray
    mouth: np.ndarray


def pseudo_fake(clip, part, rng, config=None):
    """Return a clip in which a part of the face was drawn again in each frame.

    Args:
        clip: uint8 `[T+1, S, S, 3]` RGB of a real face, as the engine cuts it.
        part: one of `PARTS`.
        rng: a `numpy.random.Generator`; the same state gives the same clip.
        config: a `PseudoFakeConfig`; None for the default one.

    Returns:
        uint8 `[T+1, S, S, 3]`. Away from the part it is the clip, to the last bit.
    """
    config = config or PseudoFakeConfig()
    count, side = clip.shape[:2]
    errors = _draw_errors(count, side / 256, part, rng, config)
    centre_y, half_width, half_height = (side * rng.uniform(*limits) for limits in _PLACES[part])
    centre = side * np.array([0.5 + rng.normal(0, 0.015), 0.5 + rng.normal(0, 0.015)])
    radii = np.array([half_width, half_height])
    resolution, feather = rng.uniform(*config.resolution), rng.uniform(*config.feather)
    places = centre + _face_drift(clip)
    frames = []
    for index, frame in enumerate(clip):
        middle = places[index] + [0, centre_y]
        drawn = _drawn_again(frame, middle, places[index], errors, index, resolution)
        outline = middle + errors.outline_shift[index]
        mask = _ellipse(side, outline, radii * errors.outline_scale[index], feather)
        blended = frame + mask[..., None] * (drawn - frame)
        frames.append(np.clip(np.rint(blended), 0, 255).astype(np.uint8))
    return np.stack(frames)


def recompressed(clip, crf):
    """Return a clip after a trip through H.264 at a constant rate factor, uint8 of the same shape.

    One thread converts, encodes and decodes, so that the same clip gives the same bytes.
    """
    height, width = clip.shape[1:3]
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.thread_count = 1
        stream.options = {"crf": str(crf), "preset": "fast"}
        for frame in clip:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        return np.stack([frame.to_ndarray(format="rgb24", threads=1) for frame in container.decode(stream)])


def _draw_errors(count, scale, part, rng, config):
    jitter = np.exp(rng.uniform(*np.log(config.jitter_px)))
    memory = rng.uniform(*config.memory)

    def series(sigma, columns=1, memory=memory):
        """Return a stationary first-order process, `[count, columns]`."""
        noise = rng.normal(0, sigma, (count, columns))
        for row in range(1, count):
            noise[row] = memory * noise[row - 1] + np.sqrt(1 - memory**2) * noise[row]
        return noise

    light = np.exp(rng.uniform(*np.log((0.002, 0.02))))
    # The mouth opens and widens by its own will, but for the eyes; slowly or not.
    speech = 0.0 if part == "eyes" else rng.uniform(0.3, 2.0)
    return _Errors(
        shift=scale * series(jitter, 2),
        roll=series(0.006 * jitter)[:, 0],
        scale=1 + np.concatenate([series(0.006 * jitter)] * 2, 1) + series(0.003 * jitter, 2),
        gain=1 + series(light) + series(0.004, 3),
        outline_shift=scale * series(rng.uniform(0, 1.5), 2),
        outline_scale=1 + series(rng.uniform(0, 0.03)),
        mouth=scale * series(speech, 2, memory=rng.uniform(0.2, 0.95)) * [0.5, 1.0],
    )


def _face_drift(clip):
    """Return how far the middle of the crop has moved since the first frame, float `[T+1, 2]` in px."""
    side = clip.shape[1]
    inner = np.s_[side // 4 : side - side // 4]
    grey = [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY)[inner, inner].astype(np.float32) for f in clip]
    window = cv2.createHanningWindow(grey[0].shape[::-1], cv2.CV_32F)
    steps = [cv2.phaseCorrelate(a, b, window)[0] for a, b in pairwise(grey)]
    limit = _MAX_STEP_SHARE * side
    return np.cumsum(np.clip([(0.0, 0.0), *steps], -limit, limit), axis=0)


def _drawn_again(frame, middle, face, errors, index, resolution):
    """Return the whole frame under one frame's errors, float32 `[S, S, 3]`."""
    side = len(frame)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    dx, dy = x - middle[0], y - middle[1]
    scale, roll, shift = errors.scale[index], errors.roll[index], errors.shift[index]
    from_x = dx / scale[0] + roll * dy + middle[0] - shift[0]
    from_y = dy / scale[1] - roll * dx + middle[1] - shift[1]
    mouth_dx, mouth_dy = x - face[0], y - (face[1] + _MOUTH_Y * side)
    width, height = _MOUTH_HALF_WIDTH * side, _MOUTH_HALF_HEIGHT * side
    near = np.exp(-((mouth_dx / width) ** 2) - (mouth_dy / height) ** 2)
    from_x -= errors.mouth[index, 0] * near * np.tanh(2 * mouth_dx / width)
    from_y -= errors.mouth[index, 1] * near * np.tanh(3 * mouth_dy / height)
    coarse = cv2.resize(frame, None, fx=resolution, fy=resolution, interpolation=cv2.INTER_AREA)
    picture = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    maps = from_x.astype(np.float32), from_y.astype(np.float32)
    moved = cv2.remap(picture, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return moved * errors.gain[index].astype(np.float32)


def _ellipse(side, centre, radii, feather):
    """Return a mask float `[S, S]`: 1 inside, 0 outside, smooth over the rim."""
    y, x = np.mgrid[:side, :side]
    radius = np.hypot((x - centre[0]) / radii[0], (y - centre[1]) / radii[1])
    inside = np.clip((1 - radius) / feather + 0.5, 0, 1)
    return inside * inside * (3 - 2 * inside)
