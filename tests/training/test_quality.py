"""Figures over files: hand-made logits whose figures can be worked out."""

import numpy as np
import pytest
from made_videos import VIDEOS, video

from flowtell.training.quality import detector_figures, highest_face_figures

FOLDS = [0, 0, 0, 0, 1, 1, 1, 1]


def test_figures_of_known_logits():
    logits = {0: [-2.0], 1: [1.0, 1.0], 2: [2.0], 3: [0.0], 4: [-1.0], 5: [3.0], 6: [1.5], 7: [4.0]}
    # One fold, so that every score is calibrated by a temperature of 1 and its order is that of the logits.
    figures = detector_figures(VIDEOS, logits, [0] * 8, ["actors(DFD)"])
    # Fakes at 2, 0 and 1.5 against reals at -2, 1, -1, 3 and 4: 3 + 2 + 3 of 15 pairs.
    assert figures["auc"]["value"] == pytest.approx(8 / 15)
    assert figures["without"]["auc"]["value"] == pytest.approx(8 / 12)
    # 183_253 beats 183, 253_183 loses to 253, the swapped take 0006 beats take 0006; 0007 is another video.
    assert figures["pairs_ranked_rightly"]["value"] == pytest.approx(2 / 3)
    by_method = {"Deepfakes": 3 / 5, "Face2Face": 2 / 5, "faceswap": 3 / 5}
    assert {m: f["value"] for m, f in figures["auc_by_method"].items()} == pytest.approx(by_method)
    # Of one fold no other gives a threshold: it is the calibrated 0.5, a logit of 0.
    right = {"Deepfakes": (2, 2), "Face2Face": (0, 2), "faceswap": (2, 2)}
    assert figures["accuracy_by_method"] == {
        m: {"value": count / files, "files": files} for m, (count, files) in right.items()
    }
    assert figures["calibration_error"] == figures["calibration_error_before"]
    low, high = figures["auc"]["interval"]
    assert 0 <= low <= 8 / 15 <= high <= 1
    # Above a logit of 1 lie 2 of 5 originals; 1 of 3 fakes does not: no other threshold is nearer to equal.
    # The next score is that of 1.5.
    around = 1 / (1 + np.exp(-np.array([1, 1.5]) / figures["temperature"]))
    assert figures["threshold"] == pytest.approx(around.mean())
    assert figures["risk_coverage"]["coverage"][-1] == 1.0


def test_a_fold_is_calibrated_by_the_others():
    # Overconfident logits: of each fold's four clips at +-20 one is wrong.
    logits = {0: [-20.0], 1: [-20.0], 2: [20.0], 3: [-20.0], 4: [-20.0], 5: [-20.0], 6: [20.0], 7: [20.0]}
    figures = detector_figures(VIDEOS, logits, FOLDS)
    assert figures["temperature"] > 5
    assert figures["calibration_error"] < figures["calibration_error_before"]
    changed = detector_figures(VIDEOS, logits | {4: [20.0]}, FOLDS)
    # Verdicts of the curve are those that accuracy counts, by thresholds of the others.
    for measured in (figures, changed):
        assert measured["risk_coverage"]["risk"][-1] == pytest.approx(1 - measured["accuracy"])
    before, after = ({s["file"]: s["score"] for s in f["scores"]} for f in (figures, changed))
    assert before["183.mp4"] != after["183.mp4"]
    assert before["id26_0007.mp4"] == after["id26_0007.mp4"]


def test_a_file_s_score_is_that_of_its_highest_face():
    logits = {0: [-2.0, 3.0, -2.0], 1: [1.0], 2: [2.0, 2.0]}
    one_face = highest_face_figures(VIDEOS, logits, {0: [0, 0, 0], 1: [0], 2: [0, 0]}, [0] * 8)
    # The original 0 has the mean -1/3 as one face, and 3 as its highest of three.
    two_faces = highest_face_figures(VIDEOS, logits, {0: [0, 1, 0], 1: [0], 2: [0, 1]}, [0] * 8)
    labels = [VIDEOS[i].label for i in logits]
    assert labels == [0, 0, 1]
    assert (one_face["auc"]["value"], two_faces["auc"]["value"]) == (1.0, 0.5)


def test_videos_without_clips_are_left_out_and_equal_names_kept():
    twice = [*VIDEOS, video("183_253", 1, "FaceSwap")]
    figures = detector_figures(twice, {0: [-1.0], 2: [1.0], 4: [-2.0], 8: [2.0]}, [*FOLDS, 0])
    assert figures["files"] == 4
    assert [s["file"] for s in figures["scores"]].count("183_253.mp4") == 2
    assert figures["auc"]["value"] == 1.0
