"""From the logits of clips to the probability of a face and the result of a video: averages, no pixels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ._bundle import Bundle
from ._clips import MIN_FACE_PX, MIN_PAIRS, ClipMaker, FaceClip
from ._clock import StageClock
from ._errors import DecodeError
from ._judging import ClipLogits
from ._manifest import LeastEvidence, Manifest
from ._result import RESULT_SCHEMA, BundleIdentity, ClipResult, FaceResult, Result, TimingMs

__all__ = [
    "Conclusion",
    "Judge",
    "JudgedClip",
    "JudgedLogit",
    "concluded",
    "deciding_tracks",
    "faces_from_clips",
    "file_probability",
    "file_state",
    "judged_clip",
    "mean_probability",
    "result_of",
    "sigmoid",
    "verdict_of",
]


JudgedLogit = tuple[int | None, float, int]
"""What a clip was cut out of (`FaceClip.part_of`), its logit, and how many pairs it has."""


@dataclass(frozen=True)
class JudgedClip:
    """A clip's result, and what else is known of it.

    Attributes:
        track: that it belongs to.
        is_background: whether its face was in the background.
        clip: its result.
        spent_s: on judging it, in seconds.
        part_of: as of `FaceClip`.
    """

    track: int
    is_background: bool
    clip: ClipResult
    spent_s: float
    part_of: int | None = None


@dataclass(frozen=True)
class Judge:
    """What judges: an open bundle, the provider as its runtime names it, and the detector's precision."""

    bundle: Bundle
    provider: str
    precision: str


@dataclass(frozen=True)
class Conclusion:
    """What a `Result` says of a whole file, in its words."""

    state: str
    reason: str | None
    verdict: str
    fake_probability: float | None


def sigmoid(logit: float) -> float:
    """Return 1 / (1 + exp(-logit)), without overflow at either end."""
    if logit >= 0:
        return 1.0 / (1.0 + math.exp(-logit))
    growth = math.exp(logit)
    return growth / (1.0 + growth)


def judged_clip(clip: FaceClip, logits: ClipLogits) -> JudgedClip:
    """Return what a result keeps of a clip and of what the detector said about it."""
    pairs = tuple(float(logit) for logit in logits.pair_logits)
    result = ClipResult(clip.start_s, clip.end_s, clip.box, logits.clip_logit, pairs)
    return JudgedClip(clip.track, clip.is_background, result, logits.spent_s, clip.part_of)


def mean_probability(judged: Iterable[JudgedLogit]) -> float:
    """Return a face's probability: the mean of its clips'.

    Parts of one clip count as that clip, whose logit is the mean of their pairs': the mean of their own
    probabilities lies nearer to a half than it, and another side of a threshold may be nearer.

    Args:
        judged: at least one.
    """
    probabilities = []
    parts: dict[int, list[tuple[float, int]]] = {}
    for part_of, logit, pairs in judged:
        if part_of is None:
            probabilities.append(sigmoid(logit))
        else:
            parts.setdefault(part_of, []).append((logit, pairs))
    for runs in parts.values():
        total = math.fsum(logit * pairs for logit, pairs in runs)
        probabilities.append(sigmoid(total / sum(pairs for _, pairs in runs)))
    return math.fsum(probabilities) / len(probabilities)


def result_of(
    file: str,
    judged: Sequence[JudgedClip],
    maker: ClipMaker,
    clock: StageClock,
    judge: Judge,
    *,
    failure: DecodeError | None = None,
    deciding: set[int] | None = None,
    stopped: str = "all",
) -> Result:
    """Return the result of a video.

    Args:
        file: what it says in `file`.
        judged: the clips that were judged, in order of time.
        maker: what was seen in the video.
        clock: what its stages took.
        judge: what judged it.
        failure: why it could not be read, or not to its end.
        deciding: as of `faces_from_clips`.
        stopped: as of `Result`.
    """
    manifest = judge.bundle.manifest
    faces = faces_from_clips(judged, manifest.pairs_per_clip, deciding)
    said = concluded(failure, maker, faces, manifest)
    return Result(
        schema=RESULT_SCHEMA,
        file=file,
        state=said.state,
        reason=said.reason,
        verdict=said.verdict,
        fake_probability=said.fake_probability,
        pairs_judged=sum(len(item.clip.pair_logits) for item in judged),
        pairs_total=maker.pairs,
        stopped=stopped,
        faces=faces,
        bundle=BundleIdentity(manifest.name, judge.bundle.sha256, manifest.licence),
        provider=judge.provider,
        precision=judge.precision,
        timing_ms=TimingMs(
            decode=clock.spent_ms("decode"),
            faces=clock.spent_ms("faces"),
            crop=clock.spent_ms("crop"),
            detector=1e3 * sum(item.spent_s for item in judged),
            total=clock.total_ms(),
        ),
    )


def deciding_tracks(clips: Iterable[tuple[int, bool, int]], pairs_per_clip: int) -> set[int]:
    """Return the tracks that speak for the file.

    The probability of a file is the highest of its faces, so one stray face could speak for the whole
    file. A face decides only if at least half of its clips are in the foreground and it has one full
    clip's worth of pairs; where no face has both, being in the foreground is enough; where none has that,
    all decide.

    Args:
        clips: (track, whether it is in the background, pairs) of each.
        pairs_per_clip: of a full clip.
    """
    tracks: dict[int, list[tuple[bool, int]]] = {}
    for track, is_background, pairs in clips:
        tracks.setdefault(track, []).append((is_background, pairs))
    foreground = {
        track for track, items in tracks.items() if 2 * sum(behind for behind, _ in items) <= len(items)
    }
    solid = {track for track in foreground if sum(pairs for _, pairs in tracks[track]) >= pairs_per_clip}
    return solid or foreground or set(tracks)


def faces_from_clips(
    judged: Sequence[JudgedClip], pairs_per_clip: int, deciding: set[int] | None = None
) -> tuple[FaceResult, ...]:
    """Return the faces of these clips in order of their track; see `mean_probability` for their own.

    Args:
        judged: what was judged.
        pairs_per_clip: of a full clip.
        deciding: the tracks that decide; None where all clips of the file say so that were judged.
    """
    if deciding is None:
        facts = ((item.track, item.is_background, len(item.clip.pair_logits)) for item in judged)
        deciding = deciding_tracks(facts, pairs_per_clip)
    tracks: dict[int, list[JudgedClip]] = {}
    for item in judged:
        tracks.setdefault(item.track, []).append(item)
    return tuple(
        FaceResult(
            track,
            mean_probability((item.part_of, item.clip.logit, len(item.clip.pair_logits)) for item in items),
            track in deciding,
            tuple(item.clip for item in items),
        )
        for track, items in sorted(tracks.items())
    )


def file_probability(faces: Sequence[FaceResult]) -> float | None:
    """Return the highest probability among the faces that decide; None where there is no face."""
    return max((face.fake_probability for face in faces if face.decides), default=None)


def verdict_of(fake_probability: float | None, threshold: float) -> str:
    """Return `fake` above the threshold, `original` up to it, `undecided` where there is no probability."""
    if fake_probability is None:
        return "undecided"
    return "fake" if fake_probability > threshold else "original"


def concluded(
    failure: DecodeError | None, maker: ClipMaker, faces: Sequence[FaceResult], manifest: Manifest
) -> Conclusion:
    """Return what is said of a file: its state and, where there is evidence enough, its verdict.

    Args:
        failure: why the file could not be read, or not to its end.
        maker: what was seen in it.
        faces: what was judged.
        manifest: of the bundle that judged: its threshold, and the least evidence that it asks for.
    """
    state, reason = file_state(failure, maker, bool(faces))
    if state == "timed_out":
        # a verdict from whatever came first would look like one from the whole file
        return Conclusion(state, reason, "undecided", None)
    speaking = deciding_tracks(maker.made, manifest.pairs_per_clip)
    pairs = sum(pairs for track, _, pairs in maker.made if track in speaking)
    missing = missing_evidence(faces, pairs, manifest.least_evidence, manifest.crop_margin)
    if missing is not None:
        if state == "ok":
            return Conclusion("thin_evidence", missing, "undecided", None)
        return Conclusion(state, f"{reason}; {missing}", "undecided", None)
    probability = file_probability(faces)
    verdict = verdict_of(probability, manifest.thresholds[0].fake_probability)
    return Conclusion(state, reason, verdict, probability)


def missing_evidence(
    faces: Sequence[FaceResult], pairs: int, least: LeastEvidence, crop_margin: float
) -> str | None:
    """Return what a file with judged faces lacks for a verdict, in words; None where it lacks nothing.

    Args:
        faces: what was judged; without any, it is not for thin evidence that there is no verdict.
        pairs: frame pairs of the clips, judged or not, of the faces that speak for the file.
        least: what the bundle asks for.
        crop_margin: side of a clip's box over the longer side of its face.
    """
    if not faces:
        return None
    if pairs < least.pairs:
        return (
            f"the faces that decide are in view for {pairs} pairs of frames, and below {least.pairs} this "
            "bundle abstains"
        )
    side_px = max(clip.box[2] for face in faces if face.decides for clip in face.clips)
    face_px = int(side_px / crop_margin)
    if face_px < least.face_px:
        return f"its largest face has {face_px} px, and below {least.face_px} px this bundle abstains"
    return None


def file_state(failure: DecodeError | None, maker: ClipMaker, judged: bool) -> tuple[str, str | None]:
    """Return the state of a file and its reason in one sentence (None for `ok`).

    Args:
        failure: why the file could not be read, or not to its end.
        maker: what was seen in it.
        judged: whether any clip was.
    """
    if failure is not None:
        # of a file that broke off, what could be read was judged; what took too long says so in any case
        broken_off = judged and failure.state != "timed_out"
        return ("truncated" if broken_off else failure.state), str(failure)
    if judged:
        return "ok", None
    if maker.frames <= MIN_PAIRS:
        return "too_short", f"it has {maker.frames} different frames and {MIN_PAIRS + 1} are needed"
    if maker.found_faces:
        return "too_short", f"no face stays in view for {MIN_PAIRS} pairs of frames"
    if maker.small_faces:
        return "face_too_small", f"its faces are under {MIN_FACE_PX} px; use a larger version of the video"
    return "no_face", f"no face was found in its {maker.frames} frames"
