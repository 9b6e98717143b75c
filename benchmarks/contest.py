"""Contenders against each other in one run: outputs compared first, then timed in turn beside a GEMM."""

from dataclasses import asdict, dataclass

import numpy as np

from flowtell.benchmarks.accuracy import LIMITS
from flowtell.benchmarks.calibration import best_gemm
from flowtell.benchmarks.contenders import CONTENDERS, OURS, MissingError, load_contender
from flowtell.benchmarks.statistics import interleaved_timings

__all__ = ["Entry", "contest"]


@dataclass(frozen=True)
class Entry:
    """One contender's part in a contest.

    Attributes:
        name: what it is called.
        summary: what it does.
        same_output: whether it had to give the first contender's outputs.
        ours: whether it is the engine.
        precision: of what it computes in, for how far its outputs may differ.
        missing: why it did not run; None where it did.
        largest_difference: of a logit, from the first contender's; None where it did not run.
        median_ms: of a turn, in which it judges every clip once; None where it was not timed.
        quartiles_ms: first and third.
        pairs_per_s: from the median.
    """

    name: str
    summary: str
    same_output: bool
    ours: bool = False
    precision: str = "fp32"
    missing: str | None = None
    largest_difference: float | None = None
    median_ms: float | None = None
    quartiles_ms: tuple | None = None
    pairs_per_s: float | None = None

    @property
    def pairs_per_s_quartiles(self):
        """The rates of the slower and of the faster quartile; only where it was timed."""
        return tuple(self.pairs_per_s * self.median_ms / ms for ms in reversed(self.quartiles_ms))

    @property
    def is_wrong(self):
        """Whether it ran and had to give the first contender's outputs, but did not."""
        return (
            self.same_output
            and self.largest_difference is not None
            and not self.largest_difference <= LIMITS[self.precision]
        )


def contest(arena, clips, runs, names=CONTENDERS, progress=lambda words: None):
    """Let contenders judge the same clips in turn.

    A contender whose outputs should be the first one's and are not is not timed.

    Args:
        arena: an `Arena`.
        clips: uint8 `[T+1, S, S, 3]` each.
        runs: timed turns of each.
        names: which; the first is the one that others are compared with.
        progress: called with what is being done.

    Returns:
        `(entries, best_gemm_gflops)`.
    """
    entries, judges = {}, {}
    wanted = None
    for name in names:
        module = load_contender(name)
        precision = getattr(module, "PRECISION", "fp32")
        about = (module.NAME, module.SUMMARY, module.SAME_OUTPUT, name in OURS, precision)
        progress(f"{module.NAME}: opening")
        try:
            judge = module.open_contender(arena)
            outputs = judge(clips)
        except MissingError as error:
            entries[name] = Entry(*about, missing=str(error))
            continue
        wanted = outputs if wanted is None else wanted
        difference = max(float(np.abs(a - b).max()) for a, b in zip(outputs, wanted, strict=True))
        entries[name] = Entry(*about, largest_difference=difference)
        if not entries[name].is_wrong:
            judges[name] = lambda judge=judge: judge(clips)
    progress(f"timing {len(judges)} contenders in {runs} turns")
    timings = interleaved_timings(judges, runs)
    pairs = sum(len(clip) - 1 for clip in clips)
    for name in judges:
        timing = timings[name]
        entries[name] = Entry(
            **asdict(entries[name])
            | {
                "median_ms": timing.median_ms,
                "quartiles_ms": (timing.low_ms, timing.high_ms),
                "pairs_per_s": 1e3 * pairs / timing.median_ms,
            }
        )
    # not in turn with the others: threads of theirs that still wait for work would be part of it
    best, _ = best_gemm()
    return list(entries.values()), best
