"""Pictures: the curves of a run; ROC, reliability and confusion of an evaluation."""

from pathlib import Path

from flowtell import InputError
from flowtell.training.run_folder import whole_file

__all__ = ["NO_INTERVAL", "plot_curves", "plot_report", "require_matplotlib"]

# Where all fakes, or all reals, are of one group.
NO_INTERVAL = "not known: one group of people"


def plot_report(report, folder):
    """Draw `roc.png`, `reliability.png` and `confusion.png` of a `detector_report`; return their paths.

    Raises:
        InputError: matplotlib is not installed.
    """
    figure_class = require_matplotlib()
    paths = []
    for name, draw in (("roc", _roc), ("reliability", _reliability), ("confusion", _confusion)):
        figure = figure_class(figsize=(5, 5), layout="constrained")
        draw(figure.subplots(), report)
        paths.append(Path(folder) / f"{name}.png")
        with whole_file(paths[-1]) as scratch:
            figure.savefig(scratch, dpi=100)
    return paths


def plot_curves(runs, path):
    """Draw the loss and the validation of runs, a panel a run.

    Args:
        runs: name to the rows of its history (see `FitResult`), or of its log (see `read_log`).
        path: of the PNG to write.

    Raises:
        InputError: matplotlib is not installed.
    """
    figure = require_matplotlib()(figsize=(5 * len(runs), 4), layout="constrained")
    axes = figure.subplots(1, len(runs), squeeze=False)[0]
    for panel, (name, rows) in zip(axes, runs.items(), strict=True):
        steps = [row["step"] for row in rows]
        for figure_name in rows[0]:
            if figure_name not in ("epoch", "step"):
                panel.plot(steps, [row[figure_name] for row in rows], label=figure_name)
        panel.set(title=name, xlabel="step", yscale="log" if name == "flow" else "linear")
        panel.legend()
        panel.grid(alpha=0.3)
    with whole_file(Path(path)) as scratch:
        figure.savefig(scratch, dpi=100)


def require_matplotlib():
    """Return matplotlib's `Figure`.

    Raises:
        InputError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise InputError(
            "pictures need matplotlib: pip install 'flowtell[plot]', or say --no-plots"
        ) from error
    return Figure


def _roc(axes, report):
    curve, figures = report["roc"], report["file"]["auc"]
    interval = f"interval\n{NO_INTERVAL}"
    if figures["interval"] is not None:
        interval = "{:.2f} to {:.2f}".format(*figures["interval"])
    axes.step([0, *curve["false_positive_rate"]], [0, *curve["true_positive_rate"]], where="post")
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
    axes.set(
        xlabel="originals called fake",
        ylabel="fakes called fake",
        title=f"{report['file']['count']} files: AUC {figures['value']:.2f} ({interval})",
        aspect="equal",
    )


def _reliability(axes, report):
    bins = report["reliability"]
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
    axes.plot([b["probability"] for b in bins], [b["frequency"] for b in bins], marker="o")
    for b in bins:
        axes.annotate(
            str(b["count"]), (b["probability"], b["frequency"]), xytext=(4, -10), textcoords="offset points"
        )
    axes.set(
        xlabel="stated probability of fake",
        ylabel="share of fakes",
        title=f"Reliability over files (counts): ECE {report['file']['calibration_error']['value']:.2f}",
        xlim=(0, 1),
        ylim=(-0.03, 1.03),
    )


def _confusion(axes, report):
    counts = report["confusion"]
    table = [
        [counts[f"{truth} called {said}"] for said in ("original", "fake")] for truth in ("real", "fake")
    ]
    axes.imshow(table, cmap="Blues", vmin=0)
    largest = max(max(row) for row in table)
    for y, row in enumerate(table):
        for x, count in enumerate(row):
            axes.text(
                x, y, count, ha="center", va="center", color="white" if count > largest / 2 else "black"
            )
    axes.set(
        xticks=[0, 1],
        xticklabels=["original", "fake"],
        yticks=[0, 1],
        yticklabels=["real", "fake"],
        xlabel="verdict",
        ylabel="truth",
        title=f"Files at threshold {report['threshold']:g}",
    )
