"""From labelled videos to a prepared set: face clips cut once, and their flow where it is asked for."""

import json
import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import flowtell
from flowtell import InputError
from flowtell._usable_cores import usable_cores
from flowtell.training._prepare_worker import write_record
from flowtell.training._worker_pool import WorkerPool
from flowtell.training.flow_source import open_flow_source
from flowtell.training.prepared_set import INDEX_FORMAT, INDEX_NAME, PreparedSet
from flowtell.training.run_folder import SETTINGS_NAME, claim, file_sha256, sweep, write_json
from flowtell.training.video import video_sha256

__all__ = ["FACES", "PrepareSettings", "dropped_lines", "prepare"]

FACES = ("engine", "haar")


@dataclass(frozen=True)
class PrepareSettings:
    """What a prepared set holds.

    Attributes:
        clips_per_file: at most so many face clips of each video, evenly spread over it, 1 to 256.
        workers: processes that work at the same time; None: as many as there are cores.
        faces: who finds and crops them: `engine`, or `haar`, as the original method did: anew in each frame.
    """

    clips_per_file: int = 6
    workers: int | None = None
    faces: str = "engine"


def prepare(videos, folder, bundle=None, flow=None, settings=None, progress=None):
    """Cut the face clips of videos into a folder, one after the other file; resumes where it was stopped.

    A video whose shard is there, whole and of the same video, is not decoded again unless it timed out, or
    took the process that read it down with it. The index comes out the same byte for byte, however often the
    work was interrupted.

    Args:
        videos: list of `LabelledVideo`.
        folder: where to; made if need be.
        bundle: folder of the bundle whose graphs up to the crop are used; None for the packaged one.
        flow: bundle or flow network to compute flow with (see `open_flow_source`); None for none.
        settings: a `PrepareSettings`.
        progress: called with (videos done, what is being done).

    Returns:
        the `PreparedSet`.

    Raises:
        InputError: only one class is there, the same video is there with two labels or as two people, no
            video gave a clip, the folder holds clips that were cut otherwise, flow that is not asked for or a
            finished set of other videos, or nothing can be written to it.
        flowtell.FlowtellError: the bundle or the source of flow cannot be opened.
    """
    settings = settings or PrepareSettings()
    if not 1 <= settings.clips_per_file <= 256:
        raise InputError(f"clips per file are 1 to 256, not {settings.clips_per_file}")
    _require_both_classes(videos, "all of these videos")
    _require_one_truth(videos)
    folder = Path(folder).resolve()
    bundle_folder = Path(bundle or flowtell.default_bundle_path()).resolve()
    manifest = flowtell.Bundle.open(bundle_folder).manifest
    source = None if flow is None else (open_flow_source(flow), Path(flow).resolve())
    cut_with = {
        "clips_per_file": settings.clips_per_file,
        "crop_size": manifest.crop_size,
        "crop_margin": manifest.crop_margin,
        "pairs_per_clip": manifest.pairs_per_clip,
        "faces_sha256": manifest.graphs["faces"]["fp32"].sha256,
        "cuts_sha256": manifest.graphs["cuts"]["fp32"].sha256,
        "crop_sha256": manifest.graphs["crop"]["fp32"].sha256,
        "faces": settings.faces,
    }
    claim(folder / "clips", cut_with)
    if source is not None:
        claim(folder / "flow", {"sha256": source[0].sha256})
    _require_same_videos(folder, videos)
    if source is None and (folder / "flow" / SETTINGS_NAME).exists():
        raise InputError(
            f"'{folder}' holds flow, which this would leave out: ask for it with --flow as before, or delete "
            f"'{folder / 'flow'}'"
        )
    # An index says that a set is finished.
    try:
        (folder / INDEX_NAME).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"nothing can be written to '{folder}': {error.strerror}") from error
    try:
        with WorkerPool("flowtell.training._prepare_worker", settings.workers or usable_cores()) as pool:
            records = _cut(videos, folder, bundle_folder, settings, pool, progress)
            flows = None if source is None else _flow(records, folder, source, pool, progress)
    finally:
        # one worker's error ends the others in the middle of what they write
        for part in ("clips", "flow"):
            sweep(folder / part)
    entries = [
        {"number": number, **record, "flow": flows.get(number) if flows else None}
        for number, record in enumerate(records)
    ]
    if not any(entry["clips"] for entry in entries):
        raise InputError(f"none of the {len(entries)} videos gave a face clip: {entries[0]['reason']}")
    cut = [video for video, entry in zip(videos, entries, strict=True) if entry["clips"]]
    _require_both_classes(cut, "all videos that gave a clip")
    index = {
        "format": INDEX_FORMAT,
        "settings": cut_with,
        "flow": None if source is None else {"source": source[0].name, "sha256": source[0].sha256},
        "videos": entries,
    }
    write_json(folder / INDEX_NAME, index)
    return PreparedSet.open(folder)


def _require_same_videos(folder, videos):
    """Refuse a finished set of other videos, whose clips these would replace; more of them may follow."""
    try:
        index = _read(folder / INDEX_NAME)
        entries = index["videos"] if index else []
        held = [Path(entry["video"]).name for entry in entries]
        bytes_held = [entry["video_sha256"] for entry in entries]
    except (KeyError, TypeError, ValueError):
        # no set that was ever finished
        return
    given = [video.path.resolve().name for video in videos]
    # some may have been replaced since, but where not one is the same, names are all that they share
    same = (video_sha256(video.path) == known for video, known in zip(videos, bytes_held, strict=False))
    if given[: len(held)] != held or (held and not any(same)):
        raise InputError(f"'{folder}' holds a finished set of other videos: name another folder")


def _require_one_truth(videos):
    """Refuse copies of a video that are said to be something else: one would be learned, the other judged."""
    by_size = {}
    for video in videos:
        with suppress(OSError):
            by_size.setdefault(video.path.stat().st_size, []).append(video)
    for alike in (group for group in by_size.values() if len(group) > 1):
        known = {}
        for video in alike:
            sha256 = video_sha256(video.path)
            other = known.setdefault(sha256, video)
            if sha256 and (other.label, other.people) != (video.label, video.people):
                raise InputError(
                    f"'{other.path}' and '{video.path}' are the same video, and their labels or their people "
                    "differ: leave one out"
                )


def _cut(videos, folder, bundle_folder, settings, pool, progress):
    sweep(folder / "clips")
    base = Path(os.path.commonpath([video.path.resolve().parent for video in videos]))
    jobs, paths, names = [], [], []
    for number, video in enumerate(videos):
        shard, record = (folder / "clips" / f"{number:05d}.{end}" for end in ("tfrecord", "json"))
        facts = {
            "video": video.path.resolve().relative_to(base).as_posix(),
            "label": video.label,
            "method": video.method,
            "compression": video.compression,
            "identities": sorted(video.identities),
        }
        paths.append(record)
        names.append(facts["video"])
        if not _is_done(record, shard, facts, video.path):
            jobs.append(
                {
                    "kind": "clips",
                    "path": str(video.path.resolve()),
                    "bundle": str(bundle_folder),
                    "faces": settings.faces,
                    "clips_per_file": settings.clips_per_file,
                    "facts": facts,
                    "shard": str(shard),
                    "record": str(record),
                }
            )
    _run(pool, jobs, len(videos), progress, "cutting clips")
    records = [json.loads(path.read_text("utf-8")) for path in paths]
    return [record | {"video": name} for record, name in zip(records, names, strict=True)]


def _is_done(record_path, shard, facts, video):
    """Tell whether a video's record and shard are there, whole, and of this very video."""
    record = _read(record_path)
    if record is None:
        return False
    # Its path is told from the folder that all videos share: more from elsewhere change it, and nothing else.
    if any(record.get(name) != value for name, value in facts.items() if name != "video"):
        return False
    if Path(record["video"]).name != Path(facts["video"]).name:
        return False
    if record["video_sha256"] != video_sha256(video):
        return False
    if record.get("state") in ("timed_out", "died"):
        # that may have been the machine's doing, or the disk's: another time it may be read to its end
        return False
    return record["shard"] is None or _is_whole(shard, record)


def _flow(records, folder, source, pool, progress):
    path = source[1]
    sweep(folder / "flow")
    jobs, files = [], {}
    for number, entry in enumerate(records):
        if entry["shard"] is None:
            continue
        shard, record = (folder / "flow" / f"{number:05d}.{end}" for end in ("tfrecord", "json"))
        files[number] = record
        done = _read(record)
        if done is None or done["clips_sha256"] != entry["shard"]["sha256"] or not _is_whole(shard, done):
            clips = folder / "clips" / entry["shard"]["file"]
            jobs.append(
                {
                    "kind": "flow",
                    "path": str(clips),
                    "source": str(path),
                    "shard": str(shard),
                    "record": str(record),
                }
            )
    _run(pool, jobs, len(files), progress, "computing flow")
    return {number: _read(record)["shard"] for number, record in files.items()}


def _run(pool, jobs, total, progress, what):
    done = total - len(jobs)
    for job, error, died in pool.run(jobs):
        if died and job["kind"] == "clips":
            # A video that takes its process down takes nothing else with it.
            try:
                write_record(job, [], {"short": 0, "background": 0}, error, "died", None)
            except OSError as failure:
                raise InputError(f"'{job['record']}' cannot be written: {failure.strerror}") from failure
        elif error is not None:
            raise InputError(f"{error}; what was finished is kept: run the same command again to go on")
        if not Path(job["record"]).is_file():
            raise InputError(f"'{job['record']}' was not written; run the same command again")
        done += 1
        if progress is not None:
            progress(done, what)


def _is_whole(shard, record):
    return shard.is_file() and file_sha256(shard) == record["shard"]["sha256"]


def _read(path):
    return json.loads(path.read_text("utf-8")) if path.is_file() else None


def _require_both_classes(videos, which):
    if not videos:
        raise InputError("there are no videos to prepare")
    missing = {0, 1} - {video.label for video in videos}
    if missing:
        only, other = ("fake", "real") if missing == {0} else ("real", "fake")
        raise InputError(f"{which} are {only}: training needs {other} ones, too")


def dropped_lines(prepared):
    """Return what could not be used and why, one line a video or a kind of clip."""
    lines = []
    counts = Counter()
    for entry in prepared.index["videos"]:
        counts.update(entry["dropped"])
        if entry["reason"]:
            state = f"{len(entry['clips'])} clips kept, then" if entry["clips"] else "left out"
            lines.append(f"{entry['video']}: {state}: {entry['reason']}")
    for kind, reason in (
        ("short", "are shorter than a full clip"),
        ("background", "show a face in the background"),
    ):
        if counts[kind]:
            lines.append(f"{counts[kind]} clips left out: they {reason}")
    return lines
