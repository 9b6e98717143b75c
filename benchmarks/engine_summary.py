"""Figures of a result of `flowtell.benchmarks.engine`: rates, shares, and what anytime saved and changed."""

from __future__ import annotations

from flowtell.benchmarks.statistics import quantile

__all__ = ["CLIPS", "ORIGINAL", "OURS", "summary"]

OURS = "flowtell, cpu"
ORIGINAL = "original demo in Keras"
CLIPS = 4


def summary(report):
    """Return the figures of a report over its rows of files.

    Of each contender's 4 clips a file, in rows; under `alone` of 4 clips of files that were judged one by
    one, and under `whole` of every pair of the files that all contenders judged whole.
    """
    done = [entry for entry in report["rows"] if "done" in entry]
    names = sorted({name for entry in done for name in entry["sampled"]})
    ceiling = max((entry["gemm_gflops"] for entry in done), default=0.0)
    out = {
        "files": sum(len(entry["files"]) for entry in done),
        "rows": len(done),
        "best_gemm_gflops": ceiling,
    }
    wholes = [figures for entry in done for figures in entry["whole"].values() if len(figures) == len(names)]
    alone = [figures for entry in done for figures in entry["alone"].values() if figures]
    for name in names:
        figures = _contender(name, [entry["sampled"] for entry in done], report, ceiling)
        if figures is None:
            continue
        out[name] = figures
        if wholes:
            out[name]["whole"] = _contender(name, wholes, report, ceiling)
        if any(name in figures for figures in alone):
            out[name]["alone"] = _contender(name, alone, report, ceiling)
        looked = [
            (entry["whole"][file], figures[name])
            for entry in done
            for file, figures in entry["anytime"].items()
            if name in figures
        ]
        if looked:
            out[name]["anytime"] = _anytime(name, looked)
    return out


def _contender(name, entries, report, ceiling):
    """Return the figures of one contender over entries, each name -> figures; None where it judged none."""
    judged = [entry for entry in entries if entry.get(name, {}).get("pairs")]
    ran = [entry[name] for entry in judged]
    if not ran:
        return None
    total = {stage: sum(f["stages_ms"][stage] for f in ran) for stage in ran[0]["stages_ms"]}
    out = {
        "files": sum(figures["files"] for figures in ran),
        "pairs_per_s": _spread([_rate(figures) for figures in ran]),
        "files_per_s": _spread([figures["files"] / figures["s"] for figures in ran]),
        "stage_share": {stage: value / sum(total.values()) for stage, value in total.items()},
    }
    beside = [entry for entry in judged if entry.get(ORIGINAL, {}).get("pairs")]
    if beside:
        times = [_rate(entry[name]) / _rate(entry[ORIGINAL]) for entry in beside]
        out["times_the_original"] = _spread(times)
    if "verdicts" in ran[0]:
        out["other_verdicts"] = sum(
            verdict != ours
            for entry in judged
            for verdict, ours in zip(entry[name]["verdicts"], entry[OURS]["verdicts"], strict=True)
        )
    if "detector" in total:
        wall_ms = 1e3 * sum(figures["s"] for figures in ran)
        busy_ms = total["detector"] / report["threads"]
        rate = report["gflop_per_pair"] * sum(figures["pairs"] for figures in ran) / (busy_ms / 1e3)
        out["detector_share_of_wall"] = busy_ms / wall_ms
        if all("detector_at_work_s" in figures for figures in ran):
            out["detector_at_work"] = 1e3 * sum(figures["detector_at_work_s"] for figures in ran) / wall_ms
        out["detector_gflops"] = rate
        out["detector_share_of_gemm"] = rate / ceiling
    return out


def _rate(figures):
    return figures["pairs"] / figures["s"]


def _anytime(name, looked):
    """Return what anytime judging saves and changes beside judging everything, by itself or the original.

    Args:
        name: of the contender.
        looked: of each file (the figures of judging every pair of it by contender, those of anytime judging).
    """
    faster = [wholes[name]["s"] / anytime["s"] for wholes, anytime in looked]
    original = [
        wholes[ORIGINAL]["s"] / anytime["s"]
        for wholes, anytime in looked
        if wholes.get(ORIGINAL, {}).get("pairs")
    ]
    flips = {"to fake": 0, "to original": 0}
    for wholes, anytime in looked:
        if wholes[name]["verdicts"] != anytime["verdicts"]:
            kind = f"to {anytime['verdicts'][0]}"
            flips[kind] = flips.get(kind, 0) + 1
    whole_s, anytime_s = (sum(f["s"] for f in figures) for figures in _both(name, looked))
    whole_pairs, anytime_pairs = (sum(f["pairs"] for f in figures) for figures in _both(name, looked))
    return {
        "files": len(looked),
        "flips": flips,
        "times_faster": _spread(faster),
        "times_faster_in_all": whole_s / anytime_s,
        "pairs_share": anytime_pairs / whole_pairs,
        **({"times_the_original": _spread(original), "original_files": len(original)} if original else {}),
    }


def _both(name, looked):
    """Return the figures of judging every pair, and those of anytime judging."""
    return [wholes[name] for wholes, _ in looked], [anytime for _, anytime in looked]


def _spread(values):
    low, middle, high = (quantile(values, share) for share in (0.25, 0.5, 0.75))
    return {"median": round(middle, 3), "quartiles": [round(low, 3), round(high, 3)]}
