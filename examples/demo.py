"""Judge the two bundled videos, print what came out, and draw what the detector saw.

    python examples/demo.py [--bundle FOLDER] [--out demo.png]

Needs the extras `cpu` and `plot`; `make demo` installs both.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import matplotlib.pyplot as plt
import numpy as np
from flow_colours import flow_colours
from matplotlib.figure import Figure
from numpy.typing import NDArray

import flowtell
from flowtell import samples

SHOWN = 4
# From the palette of Okabe and Ito, which the colour-blind can tell apart.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#595959"
NOTICE = (
    "Both videos are rendered from one public-domain portrait: nobody moved like this. They show that the\n"
    "chain works; they say nothing about its quality, for which there is the bundle's MODEL_CARD.md."
)


@dataclass(frozen=True)
class Moment:
    """One frame pair to show: its time, the whole frame, its face clip's box, and the flow in that box."""

    time_s: float
    frame: NDArray[np.uint8]
    box: tuple[int, int, int, int]
    flow: NDArray[np.float32]


def moments(detector: flowtell.Detector, path: Path) -> list[Moment]:
    """Take the middle pair of a few face clips, spread over the file."""
    with av.open(str(path)) as container:
        decoded = container.decode(video=0)
        frames = [(frame.time or 0.0, frame.to_ndarray(format="rgb24")) for frame in decoded]
    shown = []
    for clip in flowtell.iter_face_clips(path, detector.bundle, max_clips=SHOWN):
        middle = (len(clip.frames) - 1) // 2
        time_s = clip.start_s + (clip.end_s - clip.start_s) * middle / (len(clip.frames) - 1)
        _, frame = min(frames, key=lambda timed: abs(timed[0] - time_s))
        flow = detector.score_clips(clip.frames[None, middle : middle + 2]).flow[0, 0]
        shown.append(Moment(time_s, frame, clip.box, flow))
    return shown


def probability_text(result: flowtell.Result) -> str:
    """Write what a result says in numbers: a dash where the bundle abstains."""
    return "-" if result.fake_probability is None else f"{result.fake_probability:.3f}"


def table(results: list[flowtell.Result], took_s: list[float]) -> str:
    """Lay the results out as a table of plain text."""
    rows = [("file", "state", "verdict", "fake_probability", "pairs", "faces", "time")]
    for result, spent_s in zip(results, took_s, strict=True):
        rows.append(
            (
                Path(result.file).name,
                result.state,
                result.verdict,
                probability_text(result),
                f"{result.pairs_judged} of {result.pairs_total}",
                str(len(result.faces)),
                f"{spent_s:.1f} s",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def probability_of(logit: float) -> float:
    """Probability, 0 to 1, that a logit stands for."""
    return 1 / (1 + math.exp(-logit))


def draw_moment(moment: Moment, above: Any, below: Any, full_px: float) -> None:
    """Draw a frame with its box, and the flow inside the box."""
    above.imshow(moment.frame)
    x, y, w, h = moment.box
    above.add_patch(plt.Rectangle((x, y), w, h, fill=False, edgecolor="white", linewidth=3.5))
    above.add_patch(plt.Rectangle((x, y), w, h, fill=False, edgecolor=BLUE, linewidth=1.8))
    above.set_title(f"{moment.time_s:.2f} s", fontsize=11)
    below.imshow(flow_colours(moment.flow, full_px), interpolation="bilinear")
    for axes in (above, below):
        axes.set(xticks=[], yticks=[])


def draw_scores(result: flowtell.Result, threshold: float, axes: Any) -> None:
    """Draw the probability of every pair and every clip of the face that made the verdict, over time."""
    face = max((face for face in result.faces if face.decides), key=lambda face: face.fake_probability)
    for number, clip in enumerate(face.clips):
        pairs = len(clip.pair_logits)
        edges = np.linspace(clip.start_s, clip.end_s, pairs + 1)
        label = {"pair": "frame pairs", "clip": "face clips"} if number == 0 else {}
        axes.plot(
            (edges[:-1] + edges[1:]) / 2,
            [probability_of(logit) for logit in clip.pair_logits],
            "o",
            color=BLUE,
            markersize=3.5,
            alpha=0.75,
            label=label.get("pair"),
        )
        clip_probability = probability_of(clip.logit)
        axes.plot(
            [clip.start_s, clip.end_s],
            [clip_probability] * 2,
            color=ORANGE,
            linewidth=3.5,
            solid_capstyle="butt",
            label=label.get("clip"),
        )
    axes.axhline(threshold, color=GREY, linestyle="--", linewidth=1.4, label=f"threshold {threshold:.2f}")
    axes.set(ylim=(-0.03, 1.03), xlim=(0, None), xlabel="time in s", ylabel="probability of being fake")
    probability = probability_text(result)
    axes.set_title(f"verdict: {result.verdict}, fake_probability {probability}", fontsize=12)
    axes.grid(alpha=0.25)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, fontsize=10, frameon=False)


def draw_wheel(axes: Any, full_px: float) -> None:
    """Draw the key to the colours of the flow."""
    ticks = np.linspace(-full_px, full_px, 201, dtype=np.float32)
    disc = np.stack(np.meshgrid(ticks, ticks), axis=-1)
    colours = flow_colours(disc, full_px)
    colours[np.hypot(disc[..., 0], disc[..., 1]) > full_px] = 255
    axes.imshow(colours, extent=(-full_px, full_px, full_px, -full_px))
    axes.set(xticks=[-full_px, 0, full_px], yticks=[])
    axes.set_xticklabels([f"{full_px:.1f}", "0", f"{full_px:.1f}"], fontsize=9)
    axes.set_xlabel("px of the crop\nper frame", fontsize=9)
    axes.spines[:].set_visible(False)


def draw(detector: flowtell.Detector, results: list[flowtell.Result]) -> Figure:
    """Draw a row for each result: frames with boxes, their flow, and the score over time."""
    shown = [moments(detector, Path(result.file)) for result in results]
    lengths = np.concatenate(
        [np.hypot(moment.flow[..., 0], moment.flow[..., 1]).ravel() for row in shown for moment in row]
    )
    full_px = max(1.0, float(np.percentile(lengths, 99)))
    threshold = detector.bundle.manifest.thresholds[0].fake_probability

    figure = plt.figure(figsize=(16, 5.3 * len(results) + 0.9), layout="constrained")
    figure.suptitle(
        "Rendered samples, not real people moving. One colour scale for all flow",
        fontsize=13,
    )
    for result, row, part in zip(
        results, shown, np.atleast_1d(figure.subfigures(len(results), 1, hspace=0.04)), strict=True
    ):
        pictures, scores = part.subfigures(1, 2, width_ratios=(2.1, 1))
        pictures.suptitle(Path(result.file).name, fontsize=14, fontweight="bold", x=0.02, ha="left")
        grid = pictures.subplots(2, SHOWN + 1, width_ratios=[1] * SHOWN + [0.55])
        for moment, above, below in zip(row, grid[0], grid[1], strict=False):
            draw_moment(moment, above, below, full_px)
        for axes in (*grid[0, len(row) :], *grid[1, len(row) : SHOWN]):
            axes.set_axis_off()
        grid[0, 0].set_ylabel("frame and box", fontsize=11)
        grid[1, 0].set_ylabel("flow in the box", fontsize=11)
        draw_wheel(grid[1, SHOWN], full_px)
        draw_scores(result, threshold, scores.subplots())
    return figure


def judge_and_draw(bundle: Path | None, out: Path) -> int:
    """Judge both samples, print the table and draw the picture; 0 where both were judged, 1 where not."""
    detector = flowtell.Detector.open(bundle)
    manifest = detector.bundle.manifest
    print(f"bundle {manifest.name} ({manifest.licence}), {detector.provider}, {detector.threads} threads\n")

    results, took_s = [], []
    for path in (samples.natural_path(), samples.swapped_path()):
        start_s = time.perf_counter()
        results.append(detector.detect(path))
        took_s.append(time.perf_counter() - start_s)
    print(table(results, took_s))

    for result in results:
        if not result.faces:
            print(f"There is nothing to draw of {result.file}: {result.reason}", file=sys.stderr)
            return 1
    figure = draw(detector, results)
    try:
        figure.savefig(out, dpi=100)
    except (OSError, ValueError) as error:
        # of an ending that is no kind of picture, matplotlib says which are
        why = getattr(error, "strerror", None) or error
        print(f"demo: the picture '{out}' cannot be written: {why}; give another --out", file=sys.stderr)
        return 1
    print(f"\nThe picture: {out.resolve()}")
    return 0


def main() -> int:
    """Run the demo from the command line."""
    parser = argparse.ArgumentParser(description="Judge the two bundled videos and draw what was seen.")
    parser.add_argument("--bundle", type=Path, help="a bundle's folder (default: the one in the package)")
    parser.add_argument("--out", type=Path, default=Path("demo.png"), help="the picture (default: demo.png)")
    arguments = parser.parse_args()
    plt.switch_backend("Agg")  # a machine may have no screen
    print(NOTICE, end="\n\n")
    try:
        return judge_and_draw(arguments.bundle, arguments.out)
    except flowtell.FlowtellError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
