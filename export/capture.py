"""Writes the graphs between a frame and the detector: ``faces.onnx``, ``cuts.onnx`` and ``crop.onnx``."""

from __future__ import annotations

from pathlib import Path

from flowtell.export._graph_builder import save
from flowtell.export.crop_graph import crop_graph
from flowtell.export.cuts_graph import cuts_graph
from flowtell.export.faces_graph import faces_graph

__all__ = ["CAPTURE_GRAPHS", "write_capture_graphs"]

CAPTURE_GRAPHS = ("faces", "cuts", "crop")

DEFAULT_FACE_SCORE_THRESHOLD = 0.6


def write_capture_graphs(
    folder: Path, crop_size: int, face_score_threshold: float = DEFAULT_FACE_SCORE_THRESHOLD
) -> None:
    """Write the ``CAPTURE_GRAPHS``, each as ``NAME.onnx``, into a folder that exists.

    Args:
        folder: where to.
        crop_size: S, side of the crop in px, a positive multiple of 64.
        face_score_threshold: lowest face score that ``faces.onnx`` gives out.

    Raises:
        ValueError: a size or threshold out of range.
        flowtell.InputError: the distribution that carries YuNet is not installed.
    """
    save(faces_graph(face_score_threshold), folder / "faces.onnx")
    save(cuts_graph(), folder / "cuts.onnx")
    save(crop_graph(crop_size), folder / "crop.onnx")
