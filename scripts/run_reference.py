"""Judge videos as the original method's demo does, with the models inside a bundle.

    python scripts/run_reference.py VIDEO... [--bundle DIR] [--pairs N] [--boxes engine]

`--boxes engine` skips the cascade and judges the crops that the engine cuts: then both judge equal input.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

import flowtell


def main() -> int:
    """Run the reference; return 0 if every video got a verdict, else 1."""
    from flowtell.export import keras_from_bundle
    from flowtell.training.reference import add_arguments, judge_crops, judge_files, require_mean

    parser = argparse.ArgumentParser(description="Judge videos exactly as the original method's demo does.")
    add_arguments(parser)
    default = flowtell.default_bundle_path()
    parser.add_argument(
        "--bundle", type=Path, default=default, metavar="DIR", help="default: the packaged one"
    )
    parser.add_argument(
        "--boxes", choices=("cascade", "engine"), default="cascade", help="who finds the face"
    )
    arguments = parser.parse_args()
    try:
        models = keras_from_bundle(arguments.bundle)
        require_mean(models)
    except flowtell.FlowtellError as error:
        parser.error(str(error))
    if arguments.boxes == "cascade":
        return judge_files(arguments, models)
    judged = True
    for path in arguments.video:
        clips = [c.frames for c in flowtell.iter_face_clips(path, arguments.bundle) if not c.is_background]
        if arguments.pairs is not None:
            clips = _first_pairs(clips, arguments.pairs)
        verdict = judge_crops(clips, models, name=path.name, threshold=arguments.threshold)
        print(json.dumps(asdict(verdict)), flush=True)
        judged = judged and verdict.fake_probability is not None
    return 0 if judged else 1


def _first_pairs(clips, count):
    kept = []
    for clip in clips:
        if count > 0:
            kept.append(clip[: count + 1])
            count -= len(kept[-1]) - 1
    return kept


if __name__ == "__main__":
    sys.exit(main())
