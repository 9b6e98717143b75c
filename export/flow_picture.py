"""A picture of the frame pair on which bundle and Keras disagree most about the flow."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from flowtell import InputError
from flowtell.export.parity import WorstPair

__all__ = ["draw_worst_flow", "require_picture"]


def require_picture(path: Path) -> None:
    """Refuse a picture that cannot be drawn, before the work that it is to show.

    Raises:
        InputError: matplotlib is not installed or knows no such ending, or the folder cannot be written to.
    """
    canvas, _ = _matplotlib()
    endings = sorted(canvas.get_supported_filetypes())
    if path.suffix[1:].lower() not in endings:
        raise InputError(f"the picture '{path}' must end in one of: .{', .'.join(endings)}")
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise InputError(
            f"the picture '{path}' cannot be written: name a file in a folder that is there and can be "
            "written to"
        )


def draw_worst_flow(worst: WorstPair, path: Path) -> None:
    """Draw the first frame, the length of both flows in one scale, and their difference.

    Args:
        worst: from `flowtell.export.parity.compare`.
        path: where to; the ending chooses the format.

    Raises:
        InputError: matplotlib is not installed, or the file cannot be written.
    """
    canvas, figure_class = _matplotlib()
    lengths = [np.linalg.norm(flow, axis=-1) for flow in (worst.keras_flow, worst.bundle_flow)]
    difference = np.linalg.norm(worst.bundle_flow - worst.keras_flow, axis=-1)
    scale = max(float(np.nanmax(length)) for length in lengths)
    figure = figure_class(figsize=(14, 3.6), layout="constrained")
    canvas(figure)
    axes = figure.subplots(1, 4)
    axes[0].imshow(worst.clip.frames[worst.pair])
    axes[0].set_title("first frame")
    for axis, length, title in zip(axes[1:3], lengths, ("Keras", "bundle"), strict=True):
        shown = axis.imshow(length, vmin=0, vmax=scale)
        axis.set_title(f"length of the flow, {title}, px")
    figure.colorbar(shown, ax=axes[2])
    figure.colorbar(axes[3].imshow(difference, cmap="magma", vmin=0), ax=axes[3])
    axes[3].set_title("end-point difference, px")
    for axis in axes:
        axis.set_axis_off()
    figure.suptitle(f"{worst.clip.name}, pair {worst.pair}: mean difference {worst.mean_epe_px:.2g} px")
    try:
        figure.savefig(path, dpi=110)
    except (OSError, ValueError) as error:
        raise InputError(f"the picture '{path}' cannot be written: {error}") from error


def _matplotlib() -> tuple[Any, Any]:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise InputError("--picture needs matplotlib: pip install 'flowtell[plot]'") from error
    return FigureCanvasAgg, Figure
