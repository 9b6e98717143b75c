"""Labelled videos named as public data sets name them; there are no files."""

from pathlib import Path

from flowtell.training.labels import LabelledVideo


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
