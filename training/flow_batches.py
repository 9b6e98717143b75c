"""Batches for the flow trainer: synthetic pairs made on the fly, and recorded pairs with a teacher's flow."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from flowtell.training.synthetic_flow import FlowPair, synthetic_pair

__all__ = ["FlowBatches", "TeacherPairs", "quarter_size"]


def quarter_size(flow):
    """Return flow averaged to level 2: float `[..., H, W, 2]` to `[..., H/4, W/4, 2]`, in the same px."""
    height, width = (side // 4 for side in flow.shape[-3:-1])
    return flow.reshape(*flow.shape[:-3], height, 4, width, 4, 2).mean((-4, -2))


@dataclass(frozen=True)
class TeacherPairs:
    """Pairs of real frames with the flow that a stronger network saw in them.

    Attributes:
        frames: uint8 `[N, 2, H, W, 3]` RGB.
        flow: float16 `[N, H, W, 2]` in px, frame 1 to 2.
    """

    frames: np.ndarray
    flow: np.ndarray

    @classmethod
    def load(cls, path):
        """Read an `.npz` with `frames` and `flow`, without unpickling anything.

        Raises:
            FileNotFoundError: if there is none.
            KeyError: if an array is missing.
            ValueError: if the arrays are not of those shapes and types, or empty.
        """
        # NumPy leaves open what it cannot read
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            frames, flow = arrays["frames"], arrays["flow"]
        shape = (len(frames), 2, *flow.shape[1:3], 3)
        if not len(frames) or frames.shape != shape or flow.shape != (len(frames), *flow.shape[1:3], 2):
            raise ValueError(
                f"frames {frames.shape} and flow {flow.shape} are not [N, 2, H, W, 3] and [N, H, W, 2]"
            )
        if frames.dtype != np.uint8 or flow.dtype.kind != "f":
            raise ValueError(f"frames are {frames.dtype}, not uint8, or flow {flow.dtype}, not floating")
        return cls(frames, flow)

    def draw(self, size_px, rng, zoom=1.0, shift_px=0):
        """Return one `FlowPair` of `size_px`: a random crop, mirrored half of the time (which mirrors u).

        Args:
            size_px: side of the crop.
            rng: a `numpy.random.Generator`.
            zoom: the frames are scaled by a factor between this and its inverse, and their motion with them.
            shift_px: in half of the draws the crop of frame 2 lies up to so many px beside that of frame 1,
                which adds that motion.
        """
        index = rng.integers(len(self.frames))
        side = np.array(self.flow.shape[1:3])
        factor = max(np.exp(rng.uniform(-1, 1) * np.log(zoom)), size_px / side.min())
        n = round(size_px / factor)
        first = rng.integers(0, side - n + 1)
        second = first
        if rng.random() < 0.5:
            second = np.clip(first + rng.integers(-shift_px, shift_px + 1, 2), 0, side - n)
        (y1, x1), (y2, x2) = first, second
        image1 = self.frames[index, 0, y1 : y1 + n, x1 : x1 + n]
        image2 = self.frames[index, 1, y2 : y2 + n, x2 : x2 + n]
        flow = self.flow[index, y1 : y1 + n, x1 : x1 + n].astype(np.float32) - np.float32([x2 - x1, y2 - y1])
        if n != size_px:
            image1, image2, flow = (_resized(array, size_px) for array in (image1, image2, flow))
            flow = flow * np.float32(size_px / n)
        if rng.random() < 0.5:
            image1, image2, flow = image1[:, ::-1], image2[:, ::-1], flow[:, ::-1] * np.float32([-1, 1])
        return FlowPair(image1, image2, flow)


def _resized(array, size_px):
    method = cv2.INTER_AREA if size_px < len(array) else cv2.INTER_LINEAR
    return cv2.resize(np.ascontiguousarray(array), (size_px, size_px), interpolation=method)


class FlowBatches:
    """Endless variety: the batch of a step of a seed is always the same.

    Args:
        textures: pictures, see `load_textures`.
        motion: a `MotionConfig`; its `size_px` is S, a multiple of 64.
        batch_size: B.
        seed: of the random numbers.
        teacher: a `TeacherPairs`, or None.
        teacher_share: share of the examples that come from the teacher.
        teacher_zoom, teacher_shift_px: see `TeacherPairs.draw`.
    """

    def __init__(
        self,
        textures,
        motion,
        batch_size,
        seed,
        teacher=None,
        teacher_share=0.0,
        teacher_zoom=1.0,
        teacher_shift_px=0,
    ):
        self.textures, self.motion = textures, motion
        self.batch_size, self.seed = batch_size, seed
        self.teacher, self.teacher_share = teacher, teacher_share
        self.teacher_zoom, self.teacher_shift_px = teacher_zoom, teacher_shift_px

    def batch(self, step):
        """Return `((image1, image2), target)` of a step.

        The images are float32 `[B, S, S, 3]` RGB in [0, 255], the target is the flow averaged to level 2,
        float32 `[B, S/4, S/4, 2]` in px.
        """
        rng = np.random.default_rng((self.seed, step))
        pairs = [self._draw(rng) for _ in range(self.batch_size)]
        image1, image2 = (np.stack([getattr(p, name) for p in pairs]) for name in ("image1", "image2"))
        target = quarter_size(np.stack([p.flow for p in pairs]))
        return (image1.astype(np.float32), image2.astype(np.float32)), target

    def _draw(self, rng):
        if self.teacher is not None and rng.random() < self.teacher_share:
            return self.teacher.draw(self.motion.size_px, rng, self.teacher_zoom, self.teacher_shift_px)
        return synthetic_pair(self.textures, self.motion, rng)
