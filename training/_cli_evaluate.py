"""`flowtell evaluate`: how good a detector, or a flow network, is."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from flowtell import Bundle, InputError
from flowtell.training._progress import ItemBar
from flowtell.training.evaluation import bundle_scorer, detector_report, judge_set, keras_scorer
from flowtell.training.evaluation_plots import NO_INTERVAL, plot_report, require_matplotlib
from flowtell.training.flow_features import flow_step
from flowtell.training.flow_quality import middlebury_errors
from flowtell.training.flow_source import load_flow_network
from flowtell.training.models.model_folder import LEARNED_KEY, SPLIT_KEY, read_models, update_facts
from flowtell.training.prepared_set import PreparedSet, other_crops
from flowtell.training.run_folder import write_json
from flowtell.training.splits import PARTS, split_hashes, video_keys

__all__ = ["main"]

REPORT_NAME = "evaluation.json"
DEFAULT_PART = "test"
_NOT_KNOWN = (
    "the model does not say which videos it was trained on; if some of them are in this set, its figures are "
    "too good: measure it on other people"
)


def main(argv):
    """Evaluate what `argv` names; return 0."""
    arguments = _parser().parse_args(argv[1:])
    if (arguments.data is None) == (arguments.flow_pairs is None):
        raise InputError(
            "flowtell evaluate needs either --data (a detector) or --flow-pairs (a flow network)"
        )
    if arguments.flow_pairs is not None and (arguments.calibrate or arguments.split is not None):
        raise InputError("--flow-pairs measures a flow network: --calibrate and --split say nothing of it")
    if arguments.part is not None and arguments.split is None:
        raise InputError("--part is a part of a split: name its file with --split")
    if arguments.calibrate and arguments.split is not None:
        _require_part_to_fit(arguments.part)
    arguments.part = (arguments.part or DEFAULT_PART) if arguments.split else "all"
    draws = arguments.data is not None and not arguments.no_plots
    if draws:
        # Said before hours of judging, not after; so is whether there is a place for what they give.
        require_matplotlib()
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder '{arguments.out}' cannot be made: {error.strerror}") from error
    _require_writable(arguments.out)
    path = arguments.out / REPORT_NAME
    if arguments.data is None:
        write_json(path, _flow_report(arguments))
    else:
        report = _evaluate_detector(arguments, path)
    print(f"all figures are in {path}")
    if draws:
        _draw(report, arguments.out)
    return 0


def _require_part_to_fit(part):
    if part is None:
        raise InputError("--calibrate fits to one part of a split: say which, as with --part validation")
    if part == DEFAULT_PART:
        raise InputError(
            f"--calibrate would fit to the part {part}, on which the model is to be measured: take "
            "--part validation"
        )


def _require_writable(folder):
    try:
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"nothing can be written to the folder '{folder}': {error.strerror}; name another, or give it "
            "room and rights"
        ) from error


def _draw(report, folder):
    try:
        plot_report(report, folder)
    except OSError as error:
        raise InputError(
            f"the pictures cannot be written to '{folder}': {error.strerror}; say --no-plots, or make room"
        ) from error


def _flow_report(arguments):
    errors = middlebury_errors(flow_step(load_flow_network(arguments.model)), arguments.flow_pairs)
    print(f"{'pair':24}{'EPE, px':>9}{'Fl-all, %':>11}")
    for name, row in errors.items():
        print(f"{name:24}{row['epe']:9.3f}{row['fl_all']:11.2f}")
    return {"model": arguments.model.name, "flow": errors}


def _evaluate_detector(arguments, path):
    """Judge, write the report to `path`, calibrate where that is asked for, and return the report."""
    is_bundle = (arguments.model / "manifest.json").is_file()
    if arguments.calibrate and is_bundle:
        raise InputError("a bundle is not changed: calibrate the model folder and export it again")
    prepared = PreparedSet.open(arguments.data)
    note = other_crops(prepared)
    if note:
        print(f"note: {note}", file=sys.stderr)
    positions, split = _positions(arguments, prepared)
    if is_bundle:
        manifest = Bundle.open(arguments.model).manifest
        _require_crop_size(prepared, manifest.crop_size)
        _note_other_clips(prepared, manifest.pairs_per_clip, manifest.crop_margin)
        learned = _NOT_KNOWN  # a manifest never does
        score = bundle_scorer(arguments.model)
        threshold, temperature = manifest.thresholds[0].fake_probability, manifest.temperature
    else:
        models, facts = read_models(arguments.model)
        _require_crop_size(prepared, models.settings.crop_size)
        _note_other_clips(prepared, facts.get("pairs_per_clip"), facts.get("crop_margin"))
        own = facts.get(SPLIT_KEY, {})
        _require_own_split(arguments, split, own)
        learned = _learned_from(arguments, prepared, positions, own)
        score = keras_scorer(models)
        threshold, temperature = facts["thresholds"][0]["fake_probability"], models.settings.temperature
        if arguments.calibrate:
            _require_writable(arguments.model)
    with ItemBar(sys.stderr, arguments.model.name, len(positions)) as bar:
        judged = judge_set(prepared, positions, score, bar)
    report = {
        "model": arguments.model.name,
        "run_by": "engine" if is_bundle else "keras",
        "prepared_sha256": prepared.sha256(),
        "part": arguments.part,
        **detector_report(judged, threshold, temperature=temperature),
    }
    if learned:
        report["learned_from"] = learned
    if arguments.calibrate and (report["file"]["auc"]["value"] or 0) > 0.5:
        report["calibrated"] = (
            f"calibrated on what it judged ({arguments.part} of the set): at this temperature and these "
            "thresholds its figures would be too good; measure them on other people"
        )
    write_json(path, report)
    print("\n".join(_table(report)))
    if arguments.calibrate:
        auc = report["file"]["auc"]["value"]
        if auc is None or auc <= 0.5:
            # a threshold would turn the verdicts round
            raise InputError(
                f"'{arguments.model}' does not tell these fakes from these originals (AUC of files: "
                f"{'none' if auc is None else format(auc, '.2f')}): it is not calibrated and stays as it was"
            )
        found = report["manifest"]
        update_facts(arguments.model, found["temperature"], found["thresholds"])
        print(f"calibrated {arguments.model}: temperature {found['temperature']:.3f}")
    return report


def _require_crop_size(prepared, side_px):
    if prepared.crop_size != side_px:
        raise InputError(
            f"the crops in '{prepared.folder}' are of {prepared.crop_size} px and this model's are of "
            f"{side_px} px: prepare the videos again with --bundle and a bundle of that size"
        )


def _note_other_clips(prepared, pairs, margin):
    """Say that a set was cut otherwise than flowtell detect cuts for this model, as far as that is known."""
    settings = prepared.index["settings"]
    has = settings["pairs_per_clip"], settings["crop_margin"]
    pairs, margin = pairs or has[0], margin or has[1]
    if has != (pairs, margin):
        print(
            f"note: clips in '{prepared.folder}' are of {has[0]} pairs with a margin of {has[1]:g}, this "
            f"model's of {pairs} and {margin:g}: figures of this set are not those of flowtell detect",
            file=sys.stderr,
        )


def _require_own_split(arguments, split, own):
    """Refuse another split of the set that the model was trained on, where its folder says which that is."""
    if split is None or split["prepared_sha256"] != own.get("prepared_sha256"):
        return
    if split["sha256"] != own["sha256"]:
        raise InputError(
            f"'{arguments.model}' was trained on another split than '{arguments.split}': its part "
            f"{arguments.part} may hold people that the model learned from; name the split.json of the "
            "model's own run"
        )


def _learned_from(arguments, prepared, positions, own):
    """Return what is to be said of videos that the model was trained on, as far as its folder says; or None.

    Raises:
        InputError: it would be calibrated on some.
    """
    if LEARNED_KEY not in own:
        return _NOT_KNOWN
    known = set(video_keys(prepared, positions)) & set(own[LEARNED_KEY])
    if not known:
        return None
    if arguments.calibrate:
        raise InputError(
            f"--calibrate would fit to {len(known)} videos that '{arguments.model}' was trained on: name the "
            "split.json of its run with --split, and --part validation"
        )
    return (
        f"the model was trained on {len(known)} of these {len(positions)} videos: its figures are too good; "
        "measure it on other people"
    )


def _positions(arguments, prepared):
    """Return the positions of the videos to judge, and which split it is or None."""
    if arguments.split is None:
        return list(range(len(prepared.videos))), None
    try:
        manifest = json.loads(arguments.split.read_text("utf-8"))
        if manifest["prepared_sha256"] != prepared.sha256():
            raise InputError(f"'{arguments.split}' splits another prepared set than '{arguments.data}'")
        positions = [prepared.numbers.index(e["number"]) for e in manifest["parts"][arguments.part]]
        return positions, split_hashes(manifest)
    except InputError:
        # a ValueError, too, and said already
        raise
    except OSError as error:
        raise InputError(f"the split '{arguments.split}' cannot be read: {error.strerror}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"'{arguments.split}' is no split that flowtell train wrote: {error!r}") from error


def _table(report):
    yield f"part of the set: {report['part']}"
    yield f"{'':20}{'frame pairs':>22}{'clips':>22}{'files':>22}"
    yield f"{'count':20}" + "".join(f"{report[level]['count']:22}" for level in ("pair", "clip", "file"))
    for name in ("auc", "equal_error_rate", "accuracy", "calibration_error"):
        yield f"{name.replace('_', ' '):20}" + "".join(
            _cell(report[k][name]) for k in ("pair", "clip", "file")
        )
    if report["file"]["auc"]["interval"] is None:
        yield f"intervals: {NO_INTERVAL}"
    for kind in ("by_method", "by_compression"):
        for name, row in report[kind].items():
            value = "one class only" if row["auc"] is None else f"AUC {row['auc']:.3f}"
            yield f"{kind.replace('_', ' ')}: {name}: {value} over {row['files']} files"
    yield from (report[key] for key in ("learned_from", "calibrated") if key in report)
    yield f"temperature that would calibrate it: {report['manifest']['temperature']:.3f}"
    for point in report["manifest"]["thresholds"]:
        yield f"  {point['fake_probability']:.4f}  {point['operating_point']}"


def _cell(figure):
    if figure["interval"] is None:
        return f"{figure['value']:.3f} (not known)".rjust(22)
    low, high = figure["interval"]
    return f"{figure['value']:.3f} ({low:.2f} to {high:.2f})".rjust(22)


def _parser():
    parser = argparse.ArgumentParser(
        prog="flowtell evaluate",
        description="Measure a detector on a prepared set, or a flow network on pairs with known flow.",
        epilog="Exit code: 0 evaluated, 2 wrong usage. Intervals: 95 %, people resampled.",
    )
    add = parser.add_argument
    add(
        "model",
        type=Path,
        metavar="MODEL",
        help="a bundle (the engine runs it) or a model folder (Keras does)",
    )
    add("--data", type=Path, metavar="DIR", help="a prepared set")
    add("--split", type=Path, metavar="FILE", help="split.json of a run: judge one part of it only")
    add("--part", choices=PARTS, help=f"of the split; default: {DEFAULT_PART}")
    add("--flow-pairs", type=Path, metavar="DIR", help="folders of frame10.png, frame11.png, flow10.flo")
    add("--out", type=Path, required=True, metavar="DIR", help=f"where {REPORT_NAME} and the pictures go")
    add(
        "--calibrate",
        action="store_true",
        help="write temperature and thresholds into the model folder; of a split, name a --part for it",
    )
    add("--no-plots", action="store_true", help="draw no pictures")
    return parser
