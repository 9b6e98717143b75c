"""How much of a file to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ._arguments import is_finite
from ._budget import require_clip_budget
from ._errors import InputError

__all__ = ["EVERYTHING", "Effort", "one_effort"]

_MIN_ERROR_RATE, _MAX_ERROR_RATE = 1e-6, 0.5
"""Half of the verdicts are right by chance; less than a millionth is not what a handful of clips can show."""


@dataclass(frozen=True)
class Effort:
    """How much of a file to look at; the default is every clip. One of these at most may be given.

    Attributes:
        max_clips: judge at most so many face clips (1 to 256), evenly spread over the file, those of faces in
            the background last.
        clips_per_minute: the same, so many for each minute of video, 1 at least and 256 at most.
        compute_s: judge short runs of frame pairs, spread ever more closely over the file, and end after so
            many seconds, counted from when the file has been read, but not below the pairs that the bundle
            asks for (`least_evidence`).
        error_rate: judge such runs until those that are left would not change the verdict, as far as a
            sequential test of this error rate can tell (both directions together, for the whole file).
    """

    max_clips: int | None = None
    clips_per_minute: float | None = None
    compute_s: float | None = None
    error_rate: float | None = None

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: where one is out of range, or more than one is given.
        """
        require_clip_budget(self.max_clips)
        for name in ("clips_per_minute", "compute_s"):
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and value > 0):
                raise InputError(f"{name} must be a number above 0, not {value!r}")
        rate = self.error_rate
        if rate is not None and not (_is_number(rate) and _MIN_ERROR_RATE <= rate <= _MAX_ERROR_RATE):
            raise InputError(
                f"error_rate must be a number from {_MIN_ERROR_RATE:g} to {_MAX_ERROR_RATE:g}, not {rate!r}"
            )
        given = [value for value in vars(self).values() if value is not None]
        if len(given) > 1:
            raise InputError("max_clips, clips_per_minute, compute_s and error_rate exclude each other")

    @property
    def is_by_runs(self) -> bool:
        """Whether short runs of pairs are judged, not whole clips."""
        return self.compute_s is not None or self.error_rate is not None


EVERYTHING = Effort()
"""Judge every clip."""


def one_effort(max_clips: int | None, effort: Effort) -> Effort:
    """Return the effort that is meant where `max_clips` may be given instead.

    Raises:
        InputError: where both are, or `effort` is none.
    """
    if not isinstance(effort, Effort):
        raise InputError(f"effort must be an Effort, not {effort!r}")
    if max_clips is None:
        return effort
    if effort != EVERYTHING:
        raise InputError("max_clips and effort exclude each other: say Effort(max_clips=...)")
    return Effort(max_clips=max_clips)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and is_finite(value)
