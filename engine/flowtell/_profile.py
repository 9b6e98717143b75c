"""How to run one bundle on one machine: what `flowtell bench tune` found, read from its JSON file."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._arguments import is_path
from ._errors import InputError
from ._manifest import PRECISIONS
from ._providers import PROVIDER_NAMES

__all__ = ["MAX_CLIPS_PER_CALL", "MAX_THREADS", "PROFILE_SCHEMA", "Profile"]

PROFILE_SCHEMA = 1
MAX_THREADS = 256
MAX_CLIPS_PER_CALL = 64
_MAX_FILE_BYTES = 1 << 20
"""A profile takes a kilobyte; what is larger by far is no profile."""


@dataclass(frozen=True)
class Profile:
    """Settings of a detector that were chosen by measurement (`schemas/profile.schema.json`).

    Attributes:
        bundle_sha256: of the manifest's bytes of the bundle they were chosen for.
        provider: `cpu`, `openvino`, `cuda` or `tensorrt`.
        precision: `fp32`, `fp16`, `bf16` or `int8`.
        threads: how many compute at the same time, 1 to 256.
        clips_per_call: how many face clips share a call to the detector at most, 1 to 64.
    """

    bundle_sha256: str
    provider: str
    precision: str
    threads: int
    clips_per_call: int

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Profile:
        """Read a profile from its file; what else the file says (how it was found) is left alone.

        Raises:
            InputError: where the file cannot be read or is no profile of this version.
        """
        if not is_path(path):
            raise InputError(f"a profile is named by a str or a path, not by {path!r}")
        try:
            with Path(path).open("rb") as file:
                data = file.read(_MAX_FILE_BYTES + 1)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"the profile '{os.fspath(path)}' cannot be read: {reason}") from error
        try:
            if len(data) > _MAX_FILE_BYTES:
                raise ValueError
            stated = json.loads(data)
            if stated["kind"] != "flowtell profile" or stated["schema"] != PROFILE_SCHEMA:
                raise ValueError
            return _checked(stated["settings"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(
                f"'{os.fspath(path)}' is no profile: make one with flowtell bench tune"
            ) from error

    def require_for(self, bundle_sha256: str) -> None:
        """Return where the profile was made for this bundle.

        Raises:
            InputError: where it was made for another: neither speed nor the gate's figures would hold.
        """
        if self.bundle_sha256 != bundle_sha256:
            raise InputError(
                "the profile was made for another bundle: make one for this with flowtell bench tune"
            )


def _checked(settings: dict[str, Any]) -> Profile:
    profile = Profile(
        settings["bundle_sha256"],
        settings["provider"],
        settings["precision"],
        settings["threads"],
        settings["clips_per_call"],
    )
    counts = ((profile.threads, MAX_THREADS), (profile.clips_per_call, MAX_CLIPS_PER_CALL))
    named = profile.provider in PROVIDER_NAMES[1:] and profile.precision in PRECISIONS
    counted = all(type(value) is int and 1 <= value <= most for value, most in counts)
    if not (named and counted and isinstance(profile.bundle_sha256, str)):
        raise ValueError
    return profile
