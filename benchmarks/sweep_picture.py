"""The picture of a sweep: how fast each way to run a bundle is, against how long a call then takes."""

from flowtell.benchmarks._drawing import png_of, pyplot_without_screen

__all__ = ["sweep_picture"]


def sweep_picture(found, limits):
    """Return a PNG, as bytes: throughput against latency, those that nothing beats in both joined by a line.

    Args:
        found: dict of each `Point` to its `Measured`.
        limits: `Limits`; what breaks them is drawn hollow.
    """
    ran = {point: measured for point, measured in found.items() if measured.pairs_per_s is not None}
    pyplot = pyplot_without_screen()
    figure, axis = pyplot.subplots(figsize=(9, 6), layout="constrained")
    kinds = sorted({(point.provider, point.precision) for point in ran})
    for number, kind in enumerate(kinds):
        points = [point for point in ran if (point.provider, point.precision) == kind]
        kept = [not limits.broken_by(ran[point]) for point in points]
        axis.scatter(
            [ran[point].latency_ms for point in points],
            [ran[point].pairs_per_s for point in points],
            s=[30 * point.clips_per_call**0.5 * point.threads for point in points],
            edgecolors=f"C{number}",
            facecolors=[f"C{number}" if keeps else "none" for keeps in kept],
            label=f"{kind[0]} {kind[1]}",
            alpha=0.8,
        )
    front = unbeaten({point: m for point, m in ran.items() if not limits.broken_by(m)})
    axis.plot([ran[p].latency_ms for p in front], [ran[p].pairs_per_s for p in front], "k--", linewidth=1)
    axis.set_xscale("log")
    axis.set_xlabel("time of a call under full load, ms (larger dots: more threads, more clips a call)")
    axis.set_ylabel("frame pairs a second")
    axis.set_ylim(bottom=0)
    axis.legend()
    return png_of(pyplot, figure)


def unbeaten(found):
    """Return the points that no other beats in both rate and latency, by latency.

    Args:
        found: dict of each `Point` to its `Measured`, all of which ran.
    """
    front, best = [], 0.0
    for point in sorted(found, key=lambda p: (found[p].latency_ms, -found[p].pairs_per_s)):
        if found[point].pairs_per_s > best:
            front.append(point)
            best = found[point].pairs_per_s
    return front
