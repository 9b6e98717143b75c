"""How good what a run of the recipe trained is: the detector beside others, and the flow network."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from flowtell.training.comparison import gain, ranking_figures
from flowtell.training.contenders import (
    frame_rate_scores,
    interleaved,
    meso4_scores,
    pooled_dis_features,
)
from flowtell.training.flow_batches import TeacherPairs
from flowtell.training.flow_features import feature_step, flow_step
from flowtell.training.flow_quality import middlebury_errors, official_distance, teacher_distance
from flowtell.training.flow_source import load_flow_network
from flowtell.training.judge_task import new_classifier
from flowtell.training.labels import identity_groups
from flowtell.training.linear_judge import choose_penalty, held_out_logits
from flowtell.training.prepared_set import PreparedSet
from flowtell.training.quality import detector_figures, highest_face_figures
from flowtell.training.recipe import FLOW_NAME, PREPARED_NAME, clip_feature_sets, learned_features
from flowtell.training.run_folder import write_json
from flowtell.training.settings import settings_dict
from flowtell.training.teacher_sets import JUDGED_TEACHER_NAME

__all__ = ["contender_figures", "cross_validate", "flow_figures", "write_figures"]

# Of the baseline of pooled features, 512 of them.
BASELINE_PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2)


def cross_validate(recipe, folder, imagenet_path, flow=None):
    """Judge every video with a head that never saw a person in it; one group of people after the other.

    Args:
        recipe: a `Recipe`.
        folder: of the run, with the flow of the clips.
        imagenet_path: VGG16's weights.
        flow: as for `learned_features`.

    Returns:
        what `detector_figures` returns, of heads whose penalties, too, were chosen without the judged;
        `penalties`: which, for each group of people; `by_highest_face`: what `highest_face_figures` returns;
        `with_final_penalty`: what `detector_figures` returns of heads that all have the `penalty` which all
        files choose, as the bundle's has. Its temperature is the bundle's: logits are the larger the smaller
        the penalty is.
    """
    prepared, _, features = clip_feature_sets(recipe, folder, imagenet_path)
    videos, folds = prepared.videos, identity_groups(prepared.videos)
    learned = learned_features(recipe, folder, imagenet_path, features, flow)
    logits, chosen = held_out_logits(learned, videos, recipe.penalties, judged=features)
    tracks = {p: [clip["track"] for clip in prepared.entry(p)["clips"]] for p in logits}
    by_face = highest_face_figures(videos, logits, tracks, folds, recipe.aside)
    penalty = choose_penalty(learned, videos, list(range(len(videos))), recipe.penalties)
    alike = held_out_logits(learned, videos, (penalty,), judged=features)[0]
    final = detector_figures(videos, alike, folds, recipe.aside) | {"penalty": penalty}
    return detector_figures(videos, logits, folds, recipe.aside) | {
        "penalties": list(chosen.values()),
        "by_highest_face": by_face,
        "with_final_penalty": final,
    }


def contender_figures(recipe, videos, folder, figures, imagenet_path, mesonet=None):
    """Return how others judge the same files, and what the detector gains over each of them.

    Args:
        recipe: a `Recipe`.
        videos: list of `LabelledVideo`, as they were prepared: the files themselves.
        folder: of the run.
        figures: what `cross_validate` returned.
        imagenet_path: VGG16's weights.
        mesonet: folder of Meso4's weights; None leaves it out.

    Returns:
        dict: name to what `ranking_figures` and, as `gain`, what `gain` returns. The baseline is
        `vgg16_of_dis`: logistic regression on pooled features, its penalty chosen as the detector's is. Its
        figures are means over several draws of pairs, each judged alone: they hang on which pairs these are.
        `vgg16_of_dis_all_pairs` is shown every pair.
    """
    prepared = PreparedSet.open(Path(folder) / PREPARED_NAME)
    classifier = new_classifier(replace(recipe.classifier, blocks=5, encoding="uv"), imagenet_path)
    positions = range(len(prepared.videos))
    step = feature_step(classifier, "uv")
    of_pairs = {p: pooled_dis_features(prepared, p, classifier, step) for p in positions}
    scores = {
        "vgg16_of_dis": _baseline_scores(
            of_pairs, prepared.videos, recipe.contender_pairs, recipe.contender_draws
        ),
        "vgg16_of_dis_all_pairs": _baseline_scores(of_pairs, prepared.videos, None, 1),
        "frame_rate": frame_rate_scores([videos[n].path for n in prepared.numbers]),
    }
    for name in ("Meso4_DF", "Meso4_F2F") if mesonet else ():
        scores[name] = meso4_scores(prepared, Path(mesonet) / f"{name}.h5", recipe.contender_pairs)
    own = [s["score"] for s in figures["scores"]]
    return {
        name: ranking_figures(prepared.videos, other, recipe.aside)
        | {"gain": gain(prepared.videos, own, other, recipe.aside)}
        for name, other in scores.items()
    }


def _baseline_scores(of_pairs, videos, count, draws):
    """Return the scores of held-out heads, float `[N, draws]`: a head for each draw of `count` pairs a video.

    None for `count` draws all of them.
    """
    scores = []
    for draw in range(draws):
        drawn = {p: interleaved(len(f), count or len(f), draws)[draw] for p, f in of_pairs.items()}
        means = {p: f[drawn[p]].mean(axis=0, keepdims=True) for p, f in of_pairs.items()}
        logits, _ = held_out_logits(means, videos, BASELINE_PENALTIES)
        scores.append([logits[p].mean() for p in sorted(logits)])
    return np.asarray(scores).T


def flow_figures(folder, middlebury=None, network=FLOW_NAME):
    """Return how good a trained flow network is: see `flow_quality`.

    Args:
        folder: of the run.
        middlebury: folder of pairs with ground truth, maybe with the folder `sintel_frame_0010` of
            `official_distance` beside them; None leaves them out.
        network: name of the network's folder within that of the run.
    """
    folder = Path(folder)
    step = flow_step(load_flow_network(folder / network))
    judged = TeacherPairs.load(folder / JUDGED_TEACHER_NAME)
    figures = {"held_out_faces_px": teacher_distance(step, judged)}
    if middlebury:
        figures["middlebury"] = middlebury_errors(step, middlebury)
        sintel = Path(middlebury) / "sintel_frame_0010"
        if sintel.is_dir():
            figures["official_pwcnet_px"] = official_distance(step, sintel)
    return figures


def write_figures(figures, recipe, path):
    """Write figures and the settings they belong to as JSON."""
    write_json(Path(path), {"recipe": settings_dict(recipe), "figures": figures})
