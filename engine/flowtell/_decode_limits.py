"""What decoding one file may take."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ._arguments import is_finite
from ._errors import InputError

__all__ = ["DecodeLimits"]


@dataclass(frozen=True)
class DecodeLimits:
    """Limits on the process that decodes one file; a file that reaches one gets a state, the run goes on.

    Attributes:
        frame_s: wall time for which the caller waits for the file to open, and for each frame, in seconds:
            then `timed_out`. A frame of 8K takes under one second.
        file_s: wall time for which the caller waits in all, in seconds: then `timed_out`. While the caller is
            busy with a frame it does not wait.
        cpu_s: processor time between two frames, in seconds: then `timed_out`. A decoder that its caller does
            not wait for is stopped by this one.
        memory_bytes: address space beyond what the process takes at rest: then `too_large`. The 17 pictures
            of 8K in 4:2:0 that H.264 may hold take 0.9 GB.
    """

    frame_s: float = 30.0
    file_s: float = 4 * 3600.0
    cpu_s: float = 60.0
    memory_bytes: int = 2 << 30

    def __post_init__(self) -> None:
        """Raise InputError for a limit that is not a positive finite number."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise InputError(f"{field.name} must be a number, not {value!r}")
            if not (is_finite(value) and value > 0):
                raise InputError(f"{field.name} must be a positive finite number, not {value!r}")
        if not isinstance(self.memory_bytes, int):
            raise InputError(f"memory_bytes must be a whole number, not {self.memory_bytes!r}")
