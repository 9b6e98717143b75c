"""Draw the pictures of the model study and print its tables, from the figures stored beside it.

    python scripts/draw_study.py [FOLDER]

FOLDER (docs/model-study) holds quality.json, contenders.json and study.json as `train_default.py` wrote them:
of a stage that has not been run, its table and pictures are left out. The tables are printed as Markdown, for
docs/model-study.md; a dash stands for what a set of videos cannot tell.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "model-study"
CONTENDERS = {
    "vgg16_of_dis": "the baseline: VGG16 pooled, of OpenCV's DIS flow, 48 pairs a file; mean of five draws",
    "vgg16_of_dis_all_pairs": "the baseline, shown all pairs",
    "frame_rate": "more than 24 frames a second",
    "Meso4_DF": "MesoNet (Meso4, its Deepfakes weights)",
    "Meso4_F2F": "MesoNet (Meso4, its Face2Face weights)",
}
DASH = "-"


def main() -> None:
    """Draw and print."""
    parser = argparse.ArgumentParser(description="Draw the model study and print its tables.")
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    folder = parser.parse_args().folder
    quality, study, contenders = (_stored(folder / f"{n}.json") for n in ("quality", "study", "contenders"))
    if not (quality or study):
        parser.error(f"'{folder}' holds neither quality.json nor study.json: run train_default.py first")
    if quality:
        print(contender_table(quality, contenders))
        draw_risk(quality, folder / "risk-coverage.png")
    if study:
        print("\n" * bool(quality) + factor_table(study["factors"]))
        draw_curve(study["learning_curve"], folder / "learning-curve.png")
        draw_factors(study["factors"], folder / "factors.png")


def _stored(path: Path) -> dict[str, Any]:
    """Return the figures of a file; none where a stage has not been run."""
    if not path.is_file():
        return {}
    figures: dict[str, Any] = json.loads(path.read_text("utf-8"))["figures"]
    return figures


def with_interval(figure: dict[str, Any] | None, scale: float = 1.0, digits: int = 2, sign: str = "") -> str:
    """Return a value with its interval, as a table shows it; a dash for what is not known."""
    if figure is None:
        return DASH
    low, high = interval_of(figure)
    within = DASH if math.isnan(low) else f"{scale * low:{sign}.{digits}f} to {scale * high:{sign}.{digits}f}"
    return f"{scale * figure['value']:{sign}.{digits}f} ({within})"


def interval_of(figure: dict[str, Any]) -> tuple[float, float]:
    """Return the ends of an interval; NaN where one group of people has all fakes, or all originals."""
    low, high = figure["interval"] or (None, None)
    return (math.nan, math.nan) if low is None else (low, high)


def contender_table(quality: dict[str, Any], contenders: dict[str, Any]) -> str:
    """Return the Markdown table of the detector beside the others."""
    lines = [
        "| judged by | AUC | without the actors | fakes above their original, % | flowtell gains in AUC |",
        "|---|---|---|---|---|",
        _line("flowtell", quality) + " |",
    ]
    for name, label in CONTENDERS.items():
        if name in contenders:
            other = contenders[name]
            lines.append(f"{_line(label, other)} {with_interval(other['gain']['auc'], sign='+')} |")
    lines.append("| always *fake* | 0.50 | 0.50 | 0 | |")
    return "\n".join(lines)


def _line(name: str, figures: dict[str, Any]) -> str:
    # the first is not there where no method is set aside, the second where no original of a fake is
    without = with_interval(figures.get("without", {}).get("auc"))
    pairs = with_interval(figures["pairs_ranked_rightly"], 100, 0)
    return f"| {name} | {with_interval(figures['auc'])} | {without} | {pairs} |"


def factor_table(rows: list[dict[str, Any]]) -> str:
    """Return the Markdown table of one factor at a time."""
    lines = [
        "| factor | setting | AUC | without the actors | fakes above original, % | AUC against the first |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        name = f"{row['factor']} | {row['setting']}"
        against = "" if row is rows[0] else with_interval(row["against_first"]["auc"], sign="+")
        lines.append(f"{_line(name, row['figures'])} {against} |")
    return "\n".join(lines)


def _figure(width_in: float, height_in: float) -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(width_in, height_in), dpi=80, layout="constrained")


def draw_risk(quality: dict[str, Any], path: Path) -> None:
    """Draw the share of wrong verdicts against the share of files judged, surest first."""
    figure, axes = _figure(5, 3.2)
    curve = quality["risk_coverage"]
    axes.step(curve["coverage"], curve["risk"], where="mid")
    axes.set(xlabel="files judged, surest first", ylabel="wrong verdicts", xlim=(0, 1), ylim=(0, 0.6))
    figure.savefig(path)


def draw_curve(curve: list[dict[str, Any]], path: Path) -> None:
    """Draw the AUC against how many people there were to learn from."""
    figure, axes = _figure(5, 3.2)
    for name, label in (("aucs", "all files"), ("aucs_without", "without the actors")):
        shares = [100 * point["share"] for point in curve]
        axes.plot(shares, [sum(p[name]) / len(p[name]) for p in curve], "o-", label=label)
    axes.set(xlabel="people to learn from, % of those there are", ylabel="AUC", ylim=(0.4, 0.9))
    axes.legend()
    figure.savefig(path)


def draw_factors(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw what each setting is worth against the first, with its interval."""
    figure, axes = _figure(9, 0.6 + 0.3 * len(rows))
    changes = rows[1:]
    values = [row["against_first"]["auc"] for row in changes]
    centre = [v["value"] for v in values]
    # matplotlib draws no bar to NaN
    ends = [interval_of(v) for v in values]
    errors = [
        [value - low for value, (low, _) in zip(centre, ends, strict=True)],
        [high - value for value, (_, high) in zip(centre, ends, strict=True)],
    ]
    axes.errorbar(centre, range(len(changes)), xerr=errors, fmt="o")
    axes.axvline(0, linewidth=0.8, color="black")
    axes.set_yticks(range(len(changes)), [f"{row['factor']}: {row['setting']}" for row in changes])
    axes.invert_yaxis()
    axes.set_xlabel("AUC less that of the first line, 95 % interval")
    figure.savefig(path)


if __name__ == "__main__":
    main()
