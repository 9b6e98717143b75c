"""A prepared set with fewer clips of each video than another has: flow is dear, decoding was done."""

import json
from pathlib import Path

import tensorflow as tf

from flowtell.training._spread import evenly_spread
from flowtell.training.run_folder import claim, file_sha256, whole_file, write_json

__all__ = ["thinned"]


def thinned(prepared, count, folder):
    """Write the clips of a prepared set again, at most `count` of each video, evenly spread over what it has.

    What is written is what `prepare` would go on from if it was asked for so many clips a file: without an
    index, until it has run. Clips of a video that are there already are kept.

    Args:
        prepared: a `PreparedSet`.
        count: clips of a video, at least 1.
        folder: where to; made if need be.

    Raises:
        InputError: the folder holds clips that were cut otherwise.
    """
    source, target = prepared.folder / "clips", Path(folder) / "clips"
    claim(target, prepared.index["settings"] | {"clips_per_file": count})
    for entry in prepared.index["videos"]:
        name = f"{entry['number']:05d}"
        record = json.loads((source / f"{name}.json").read_text("utf-8"))
        if _is_written(target / f"{name}.json", record):
            continue
        if entry["shard"] is not None:
            kept = evenly_spread(len(entry["clips"]), count)
            shard = target / entry["shard"]["file"]
            examples = list(tf.data.TFRecordDataset(str(source / entry["shard"]["file"])))
            with whole_file(shard) as scratch, tf.io.TFRecordWriter(str(scratch)) as writer:
                for index in kept:
                    writer.write(examples[index].numpy())
            record["clips"] = [record["clips"][index] for index in kept]
            record["shard"] |= {"sha256": file_sha256(shard), "bytes": shard.stat().st_size}
        write_json(target / f"{name}.json", record)


def _is_written(path, record):
    """Tell whether the record of this very video is there: it comes last."""
    held = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return held.get("video_sha256") == record["video_sha256"]
