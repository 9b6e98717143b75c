"""Batches for the flow trainer: synthetic pairs made on the fly, and recorded pairs with a teacher's flow."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flowtell.training.synthetic_flow import FlowPair, synthetic_pair

__all__ = ["FlowBatches", "TeacherPairs"]


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
        """
        with np.load(Path(path), allow_pickle=False) as arrays:
            return cls(arrays["frames"], arrays["flow"])

    def draw(self, size_px, rng):
        """Return one `FlowPair` of `size_px`: a random crop, mirrored half of the time (which mirrors u)."""
        index = rng.integers(len(self.frames))
        height, width = self.flow.shape[1:3]
        y, x = rng.integers(0, height - size_px + 1), rng.integers(0, width - size_px + 1)
        window = np.s_[y : y + size_px, x : x + size_px]
        image1, image2 = (self.frames[index, k][window] for k in (0, 1))
        flow = self.flow[index][window].astype(np.float32)
        if rng.random() < 0.5:
            image1, image2, flow = image1[:, ::-1], image2[:, ::-1], flow[:, ::-1] * np.float32([-1, 1])
        return FlowPair(image1, image2, flow)


class FlowBatches:
    """Endless variety: the batch of a step of a seed is always the same.

    Args:
        textures: pictures, see `load_textures`.
        motion: a `MotionConfig`; its `size_px` is S, a multiple of 64.
        batch_size: B.
        seed: of the random numbers.
        teacher: a `TeacherPairs`, or None.
        teacher_share: share of the examples that come from the teacher.
    """

    def __init__(self, textures, motion, batch_size, seed, teacher=None, teacher_share=0.0):
        self.textures, self.motion = textures, motion
        self.batch_size, self.seed = batch_size, seed
        self.teacher, self.teacher_share = teacher, teacher_share

    def batch(self, step):
        """Return `((image1, image2), target)` of a step.

        The images are float32 `[B, S, S, 3]` RGB in [0, 255], the target is the flow averaged to level 2,
        float32 `[B, S/4, S/4, 2]` in px.
        """
        rng = np.random.default_rng((self.seed, step))
        pairs = [self._draw(rng) for _ in range(self.batch_size)]
        image1, image2 = (np.stack([getattr(p, name) for p in pairs]) for name in ("image1", "image2"))
        flow = np.stack([p.flow for p in pairs])
        n, size = len(pairs), self.motion.size_px
        target = flow.reshape(n, size // 4, 4, size // 4, 4, 2).mean((2, 4))
        return (image1.astype(np.float32), image2.astype(np.float32)), target

    def _draw(self, rng):
        if self.teacher is not None and rng.random() < self.teacher_share:
            return self.teacher.draw(self.motion.size_px, rng)
        return synthetic_pair(self.textures, self.motion, rng)
