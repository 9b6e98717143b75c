"""Opens and closes the pictures that the benchmarks draw."""

import io

__all__ = ["png_of", "pyplot_without_screen"]


def pyplot_without_screen():
    """Return `matplotlib.pyplot`, which draws into memory and needs no screen."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def png_of(pyplot, figure):
    """Return a figure as the bytes of a PNG, and close it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    pyplot.close(figure)
    return buffer.getvalue()
