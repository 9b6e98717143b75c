"""`flowtell prepare`: labelled videos to a prepared set."""

import argparse
import sys
from pathlib import Path

from flowtell import InputError
from flowtell._cli_text import count_from_one
from flowtell.training._progress import ItemBar
from flowtell.training.labels import label_folders, read_labels
from flowtell.training.prepare import FACES, PrepareSettings, dropped_lines, prepare

__all__ = ["main"]


def main(argv):
    """Prepare what `argv` names; return 0 if every video gave a clip, 1 if some did not."""
    arguments = _parser().parse_args(argv[1:])
    source = arguments.videos
    own = arguments.each_its_own_person
    if own and source.is_file():
        raise InputError("--each-its-own-person is of a folder: a CSV says who is in a video")
    videos = label_folders(source, own) if source.is_dir() else read_labels(source)
    settings = PrepareSettings(arguments.clips, arguments.workers, arguments.faces)
    with ItemBar(sys.stderr, arguments.out.name, len(videos)) as bar:
        prepared = prepare(videos, arguments.out, arguments.bundle, arguments.flow, settings, bar)
    for line in dropped_lines(prepared):
        print(line)
    clips = sum(len(entry["clips"]) for entry in prepared.index["videos"])
    print(
        f"{arguments.out}: {clips} face clips of {len(prepared.videos)} of {len(videos)} videos, "
        f"{'with' if prepared.has_flow else 'without'} flow"
    )
    return 0 if len(prepared.videos) == len(videos) else 1


def _parser():
    parser = argparse.ArgumentParser(
        prog="flowtell prepare",
        description="Cut the face clips of labelled videos, once, for training and evaluation. Interrupted, "
        "it goes on where it stopped.",
        epilog="Exit code: 0 every video gave a clip, 1 some gave none, 2 wrong usage.",
    )
    add = parser.add_argument
    add(
        "videos",
        type=Path,
        metavar="VIDEOS",
        help="a CSV with the columns path and label (real, fake), and maybe identity, method and "
        "compression; or a folder with folders real and fake",
    )
    add("--out", type=Path, required=True, metavar="DIR", help="the prepared set")
    add("--bundle", type=Path, metavar="DIR", help="which finds and crops faces (default: the packaged one)")
    add(
        "--flow",
        type=Path,
        metavar="DIR",
        help="also store the flow of each clip: a bundle, a model folder, or a run of flowtell train flow",
    )
    add("--clips", type=count_from_one, default=6, metavar="N", help="clips a video at most; default: 6")
    add("--workers", type=count_from_one, metavar="N", help="processes at the same time (default: all cores)")
    add(
        "--faces",
        choices=FACES,
        default="engine",
        help="who finds and crops faces; haar is the original method's way, anew in each frame",
    )
    add(
        "--each-its-own-person",
        action="store_true",
        help="in a folder, take a file for a person of its own where its name names nobody",
    )
    return parser
