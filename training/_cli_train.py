"""`flowtell train`: a flow network, a classifier or a cnn_lstm."""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from flowtell import InputError
from flowtell.training._progress import ItemBar
from flowtell.training.evaluation_plots import plot_curves, require_matplotlib
from flowtell.training.flow_task import train_flow
from flowtell.training.labels import read_labels
from flowtell.training.models.model_folder import DESCRIPTION_NAME
from flowtell.training.prepared_set import PreparedSet, other_crops
from flowtell.training.settings import PRESETS, read_settings
from flowtell.training.splits import kfold_split, split_videos
from flowtell.training.train import MODEL_FOLDER_NAME, SPLIT_NAME, TrainingData, train_judge

__all__ = ["main"]

CURVES_NAME = "curves.png"
OF_FLOW = ("videos", "teacher", "judged", "init")
OF_JUDGE = ("data", "flow", "imagenet", "split_by", "split_seed", "fold", "cache", "name", "licence")


def main(argv):
    """Train what `argv` names; return 0."""
    arguments = _parser().parse_args(argv[1:])
    for name in OF_JUDGE if arguments.model == "flow" else OF_FLOW:
        if getattr(arguments, name) is not None:
            option = name.replace("_", "-")
            raise InputError(f"--{option} says nothing of training {arguments.model}: leave it out")
    if not arguments.no_plots:
        # Said before hours of training, not after.
        require_matplotlib()
    settings = _settings(arguments)
    with ItemBar(sys.stderr, arguments.out.name, settings.fit.last_step) as bar:
        run = _train_flow if arguments.model == "flow" else _train_judge
        result = run(arguments, settings, bar)
    last = result.history[-1]
    figures = ", ".join(f"{k} {v:.4g}" for k, v in last.items() if k not in ("epoch", "step"))
    early = f", stopped early after {settings.fit.patience} epochs without a better one"
    print(f"step {last['step']}: {figures}{early if result.stopped_early else ''}")
    print(f"kept: step {result.best_step}; the run is in {arguments.out}")
    if not arguments.no_plots:
        plot_curves({arguments.model: result.history}, arguments.out / CURVES_NAME)
    if arguments.model != "flow":
        folder = arguments.out / MODEL_FOLDER_NAME
        # Without the split it would be judged by people that it was trained on.
        print(
            f"next: flowtell evaluate {folder} --data {arguments.data} "
            f"--split {arguments.out / SPLIT_NAME} --out QUALITY; flowtell export {folder} --out BUNDLE"
        )
    return 0


def _settings(arguments):
    presets = PRESETS[arguments.model]
    if arguments.preset not in presets:
        raise InputError(
            f"there is no preset '{arguments.preset}' of {arguments.model}: {', '.join(presets)}"
        )
    settings = presets[arguments.preset]
    if arguments.settings is not None:
        settings = read_settings(arguments.settings, settings)
    if arguments.seed is not None:
        settings = replace(settings, fit=replace(settings.fit, seed=arguments.seed))
    return settings


def _train_flow(arguments, settings, bar):
    videos = [v.path for v in read_labels(arguments.videos)] if arguments.videos else []
    return train_flow(
        settings, arguments.out, videos, arguments.teacher, arguments.init, bar, arguments.judged
    )


def _train_judge(arguments, settings, bar):
    for name in ("data", "flow"):
        if getattr(arguments, name) is None:
            raise InputError(f"flowtell train {arguments.model} needs --{name}")
    if arguments.model == "cnn_lstm" and settings.pair_stride != 1:
        raise InputError(
            f"pair_stride = {settings.pair_stride} shows an LSTM other steps than the detector will: leave "
            "it at 1"
        )
    prepared = PreparedSet.open(arguments.data)
    note = other_crops(prepared)
    if note:
        print(f"note: {note}", file=sys.stderr)
    # Not the run's seed: runs that are to be compared must be judged by the same people.
    seed = arguments.split_seed or 0
    if seed < 0:
        raise InputError(f"--split-seed must be at least 0, not {seed}")
    if arguments.fold is None:
        by = arguments.split_by or "identity"
        how = {"by": by, "seed": seed}
        parts = split_videos(prepared.videos, by, seed)
    else:
        if arguments.split_by is not None:
            raise InputError("--fold is of a split by identity: leave --split-by out")
        if arguments.split_seed is not None:
            raise InputError("--fold has the same people whatever the seed: leave --split-seed out")
        fold, count = arguments.fold
        how = {"by": "identity", "fold": fold, "folds": count}
        parts = kfold_split(prepared.videos, fold - 1, count, seed)
    _require_stated(arguments.out / MODEL_FOLDER_NAME, name=arguments.name, licence=arguments.licence)
    result, _ = train_judge(
        settings,
        TrainingData(prepared, parts, how),
        arguments.out,
        arguments.flow,
        name=arguments.name or arguments.out.resolve().name,
        licence=arguments.licence or "not stated",
        imagenet=arguments.imagenet,
        cache=arguments.cache,
        progress=bar,
    )
    return result


def _require_stated(folder, **asked):
    """Refuse a name or a licence other than a model folder has that was finished before."""
    try:
        facts = json.loads((folder / DESCRIPTION_NAME).read_text("utf-8"))["facts"]
        differing = [word for word, value in asked.items() if value and facts[word] != value]
    except (OSError, ValueError, KeyError, TypeError):
        # there is none yet, or one that will be refused for better reasons
        return
    if differing:
        word = differing[0]
        raise InputError(
            f"'{folder}' was finished before and states the {word} '{facts[word]}': change it in its "
            "model.json and papers, or train into a new folder"
        )


def _fold(text):
    fold, _, count = text.partition("/")
    if not (fold.isdecimal() and count.isdecimal() and 1 <= int(fold) <= int(count)):
        raise argparse.ArgumentTypeError(f"must be like 1/5, not '{text}'")
    return int(fold), int(count)


def _parser():
    parser = argparse.ArgumentParser(
        prog="flowtell train",
        description="Train a model. Interrupted, even by a kill, the same command goes on where it was.",
        epilog="Exit code: 0 trained, 2 wrong usage. The settings are those of flowtell.training.settings.",
    )
    add = parser.add_argument
    add("model", choices=sorted(PRESETS), help="what to train")
    add("--out", type=Path, required=True, metavar="DIR", help="folder of the run")
    add(
        "--preset",
        default="default",
        metavar="NAME",
        help="settings to start from: default; of the classifier also bundle, the form of the default "
        "bundle, and original, the recipe of the original method",
    )
    add("--settings", type=Path, metavar="FILE.toml", help="settings over those of the preset")
    add("--no-plots", action="store_true", help=f"do not draw {CURVES_NAME}")
    add("--seed", type=int, metavar="N", help="overrides the settings' seed; the split has its own")
    of_flow = parser.add_argument_group("flow")
    of_flow.add_argument("--videos", type=Path, metavar="CSV", help="paint with their key frames, too")
    of_flow.add_argument(
        "--teacher", type=Path, metavar="FILE.npz", help="pairs with a stronger network's flow"
    )
    of_flow.add_argument(
        "--judged", type=Path, metavar="FILE.npz", help="such pairs of other people, to validate by, too"
    )
    of_flow.add_argument("--init", type=Path, metavar="DIR", help="a flow network to start from")
    of_judge = parser.add_argument_group("classifier and cnn_lstm")
    add = of_judge.add_argument
    add("--data", type=Path, metavar="DIR", help="a prepared set with flow (flowtell prepare --flow)")
    add(
        "--flow",
        type=Path,
        metavar="DIR",
        help="the network its flow comes from: a run or a model folder",
    )
    add("--imagenet", type=Path, metavar="FILE.h5", help="Keras's VGG16 weights without the top")
    add(
        "--split-by",
        choices=("identity", "video"),
        help="what stays in one part (default: identity)",
    )
    add("--split-seed", type=int, metavar="N", help="who goes to which part, of equals (default: 0)")
    add("--fold", type=_fold, metavar="I/K", help="fold I of K by identity as the test, instead of 80/10/10")
    add(
        "--cache", type=Path, metavar="DIR", help="frozen features, shared between runs (default: in the run)"
    )
    add("--name", help="of the model (default: the folder's)")
    add("--licence", help="of the model, one line; the training data's terms decide it")
    return parser
