"""What a detector says about one file: `Result`, schema 1 (`schemas/result.schema.json`)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from ._faces import Box

__all__ = ["BundleIdentity", "ClipResult", "FaceResult", "Result", "TimingMs"]

RESULT_SCHEMA = 1


@dataclass(frozen=True)
class ClipResult:
    """One judged face clip of n pairs, or a run of a clip's pairs where only runs were judged.

    Attributes:
        start_s: presentation time of its first frame, in seconds.
        end_s: presentation time of its last frame, in seconds.
        box: (x, y, w, h) in px of the upright frame; one box for the whole clip; may reach outside the frame.
        logit: of the clip; its sigmoid is the clip's probability of being fake.
        pair_logits: of its n pairs, in order.
    """

    start_s: float
    end_s: float
    box: Box
    logit: float
    pair_logits: tuple[float, ...]


@dataclass(frozen=True)
class FaceResult:
    """One tracked face.

    Attributes:
        track: its number in the file, from 0, in order of appearance.
        fake_probability: mean of its clips' probabilities, 0 to 1. Where runs of pairs were judged, those of
            one clip count as one by the mean of their pairs' logits.
        decides: whether it counts for the file. A face in the background of a larger one, or seen for
            less than one full clip, does not where there is a better one.
        clips: those that were judged, in order of time.
    """

    track: int
    fake_probability: float
    decides: bool
    clips: tuple[ClipResult, ...]


@dataclass(frozen=True)
class BundleIdentity:
    """Which bundle judged: its name, the SHA-256 of its manifest's bytes, and its licence in one line."""

    name: str
    sha256: str
    licence: str


@dataclass(frozen=True)
class TimingMs:
    """Wall time in milliseconds.

    `decode` runs in a thread of its own, `faces` and `crop` take turns in another, and `detector` is summed
    over the threads that ran it, all beside each other. So the stages may add up to more than `total`. Large
    frames get their colours where they are looked at: in `faces` the whole of a frame, in `crop` a part.
    """

    decode: float
    faces: float
    crop: float
    detector: float
    total: float


@dataclass(frozen=True)
class Result:
    """The judgement of one file.

    Attributes:
        schema: version of this layout, 1.
        file: the path as it was given.
        state: `ok`; `truncated` (the file breaks off; what could be read was judged); or why nothing could be
            judged: `no_face`, `face_too_small`, `too_short`, `undecodable`, `too_large`, `timed_out`,
            `thin_evidence`.
        reason: the state in one sentence; None for `ok`.
        verdict: `original`, `fake` or `undecided`.
        fake_probability: the highest of the faces that decide, 0 to 1; None where the verdict is `undecided`.
        pairs_judged: consecutive frame pairs that the detector saw, summed over faces.
        pairs_total: those on which a face was followed, judged or not.
        stopped: `all` (every clip of what could be read was judged), `budget` (as many as were asked for, or
            the time was up) or `decided` (the rest would not have changed the verdict, as far as a test could
            tell).
        faces: those with a judged clip, in order of their track.
        bundle: which bundle judged.
        provider: what ran the detector, as its runtime names it.
        precision: of the detector graph.
        timing_ms: wall time by stage.
    """

    schema: int
    file: str
    state: str
    reason: str | None
    verdict: str
    fake_probability: float | None
    pairs_judged: int
    pairs_total: int
    stopped: str
    faces: tuple[FaceResult, ...]
    bundle: BundleIdentity
    provider: str
    precision: str
    timing_ms: TimingMs

    @property
    def is_judged(self) -> bool:
        """Whether the detector had its say: a verdict, or its own abstention for thin evidence."""
        return self.verdict != "undecided" or self.state == "thin_evidence"

    def to_dict(self) -> dict[str, Any]:
        """Return the object of the schema, made of plain dicts, tuples, strings and numbers."""
        return asdict(self)

    def to_json(self) -> str:
        """Return one line of JSON as `schemas/result.schema.json` describes it."""
        return json.dumps(self.to_dict(), allow_nan=False)
