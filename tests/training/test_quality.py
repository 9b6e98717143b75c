"""Figures over files: hand-made logits whose figures can be worked out."""

from pathlib import Path

import pytest

from flowtell.training.labels import LabelledVideo
from flowtell.training.quality import detector_figures


def video(name, label, method="youtube"):
    people = frozenset(part for part in name.split("_") if part.startswith("id") or len(part) == 3)
    return LabelledVideo(Path(f"{name}.mp4"), label, people, method)


VIDEOS = [
    video("183", 0),
    video("253", 0),
    video("183_253", 1, "Deepfakes"),
    video("253_183", 1, "Face2Face"),
    video("id26_0006", 0),
    video("id26_0007", 0),
    video("id26_id25_0006", 1, "faceswap"),
    video("101", 0, "actors(DFD)"),
]


def test_figures_of_known_logits():
    logits = {0: [-2.0], 1: [1.0, 1.0], 2: [2.0], 3: [0.0], 4: [-1.0], 5: [3.0], 6: [1.5], 7: [4.0]}
    figures = detector_figures(VIDEOS, logits)
    # Fakes at 2, 0 and 1.5 against reals at -2, 1, -1, 3 and 4: 3 + 2 + 3 of 15 pairs.
    assert figures["auc"] == pytest.approx(8 / 15)
    assert figures["auc_without_actors"] == pytest.approx(8 / 12)
    # 183_253 beats 183, 253_183 loses to 253, the swapped take 0006 beats take 0006; take 0007 is another
    # video.
    assert figures["pairs_ranked_rightly"] == pytest.approx(2 / 3)
    assert figures["auc_by_method"] == pytest.approx(
        {"Deepfakes": 3 / 5, "Face2Face": 2 / 5, "faceswap": 3 / 5}
    )
    assert figures["videos"] == 8
    low, high = figures["auc_interval"]
    assert 0 <= low <= figures["auc"] <= high <= 1


def test_videos_without_clips_are_left_out():
    figures = detector_figures(VIDEOS, {0: [-1.0], 2: [1.0], 4: [-2.0]})
    assert figures["videos"] == 3
    assert sorted(figures["scores"]) == ["183.mp4", "183_253.mp4", "id26_0006.mp4"]
    assert figures["auc"] == 1.0
