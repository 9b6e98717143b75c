"""A worker of `flowtell prepare`: cuts clips or computes flow, one video after the other.

    python -m flowtell.training._prepare_worker

Each line on its standard input is a job, a JSON object; each line of its answer is one, too: `{"error":
null}`, or a sentence instead of null. A video that takes the process down takes nothing else with it.
"""

import json
import os
import signal
import sys
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import flowtell
from flowtell._budget import EvenSample
from flowtell._cli_quiet import hush_tensorflow
from flowtell.training.run_folder import file_sha256, write_json
from flowtell.training.video import video_sha256

__all__ = ["cut_clips", "main", "store_flow", "write_record"]


def main():
    """Do the jobs that come in until there are no more."""
    # Ctrl-C reaches the whole group of processes: who started this one says so, once, and ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    hush_tensorflow()
    # What a job prints, or a library it uses, must not come between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        job = json.loads(line)
        try:
            {"clips": cut_clips, "flow": store_flow}[job["kind"]](job)
            error = None
        except OSError as failure:
            error = f"'{failure.filename or job['record']}' cannot be written: {failure.strerror or failure}"
        except flowtell.FlowtellError as failure:
            error = str(failure)
        answers.write(json.dumps({"error": error}) + "\n")
        answers.flush()


def cut_clips(job):
    """Cut the face clips of a video and store them; what it gave, or why nothing, goes into its record.

    Clips with fewer than T pairs are left out: every training clip has the bundle's length. So are faces in
    the background: the label of a video is that of its main face.

    Args:
        job: dict of `path`, `bundle`, `faces`, `clips_per_file`, `shard`, `record`, and `facts`: what
            `write_clips` takes.

    Raises:
        OSError: the shard cannot be written.
        flowtell.FlowtellError: the bundle cannot be opened.
    """
    from flowtell.training.clip_records import write_clips

    kept, dropped = [], {"short": 0, "background": 0}
    failure = state = None
    try:
        for clip in _clips(job):
            if clip.is_background:
                dropped["background"] += 1
            elif _is_full(clip, job):
                kept.append(clip)
            else:
                dropped["short"] += 1
    except flowtell.DecodeError as error:
        failure, state = str(error), error.state
    if not kept and dropped["short"] and job["faces"] == "engine":
        kept = _full_clips(job)
    shard = None
    if kept:
        path = Path(job["shard"])
        write_clips(path, kept, job["facts"])
        shard = {"file": path.name, "sha256": file_sha256(path), "bytes": path.stat().st_size}
    none = "no face clip of full length" if sum(dropped.values()) else "no face was found for long enough"
    # The record is written last: where it exists, the shard is whole.
    write_record(job, kept, dropped, failure or (None if kept else none), state, shard)


def write_record(job, clips, dropped, reason, state, shard):
    """Write what a video gave.

    Args:
        job: as for `cut_clips`.
        clips: list of `FaceClip` that are in the shard.
        dropped: dict of how many clips were left out, `short` and `background`.
        reason: why there are no clips, or no more; None where all is well.
        state: as of a `DecodeError`, or `died` where the process that read the video did; else None.
        shard: dict of `file`, `sha256` and `bytes`, or None.

    Raises:
        OSError: it cannot be written.
    """
    record = {
        **job["facts"],
        "video_sha256": video_sha256(job["path"]),
        "clips": [
            {"track": c.track, "start_s": c.start_s, "end_s": c.end_s, "box": list(c.box)} for c in clips
        ],
        "dropped": dropped,
        "reason": reason,
        "state": state,
        "shard": shard,
    }
    write_json(Path(job["record"]), record)


def store_flow(job):
    """Compute and store the flow of a video's clips.

    Args:
        job: dict of `source` (a bundle, a model folder or a run of the flow trainer), `path` (of the shard
            of clips), `shard` and `record`.

    Raises:
        OSError: the shard cannot be written.
        flowtell.FlowtellError: the source cannot be opened or the clips cannot be read.
    """
    from flowtell.training.clip_records import read_arrays, write_flow

    flow = _flow_source(job["source"])
    path = Path(job["shard"])
    write_flow(path, (flow(clip) for clip in read_arrays(Path(job["path"]), "frames")))
    shard = {"file": path.name, "sha256": file_sha256(path), "bytes": path.stat().st_size}
    write_json(Path(job["record"]), {"shard": shard, "clips_sha256": file_sha256(job["path"])})


def _clips(job):
    bundle = _bundle(job["bundle"])
    if job["faces"] == "engine":
        return flowtell.iter_face_clips(job["path"], bundle, max_clips=job["clips_per_file"])
    from flowtell.training.haar_faces import haar_clips

    m = bundle.manifest
    return haar_clips(job["path"], m.crop_size, m.pairs_per_clip, m.crop_margin, job["clips_per_file"])


def _is_full(clip, job):
    return clip.pairs == _bundle(job["bundle"]).manifest.pairs_per_clip


def _full_clips(job):
    """Return a sample of the full clips of a video of short shots, none of which was in that of all clips."""
    sample = EvenSample(job["clips_per_file"])
    with suppress(flowtell.DecodeError):  # the first reading has said so
        for clip in flowtell.iter_face_clips(job["path"], _bundle(job["bundle"])):
            if _is_full(clip, job) and not clip.is_background:
                sample.offer(clip, preferred=True)
    return sample.items()


@lru_cache(1)
def _bundle(folder):
    return flowtell.Bundle.open(folder)


@lru_cache(1)
def _flow_source(source):
    from flowtell.training.flow_source import open_flow_source

    return open_flow_source(Path(source)).flow


if __name__ == "__main__":
    main()
