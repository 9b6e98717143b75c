"""What a frame shows of a box, as nodes: the beginning of every graph that takes a frame and a box."""

from __future__ import annotations

from dataclasses import dataclass

from flowtell.export._graph_builder import GraphBuilder


@dataclass(frozen=True)
class VisiblePart:
    """Names of values. Those of two numbers are ``int64 [2]``: of rows, then of columns.

    Attributes:
        pixels: ``uint8 [h, w, 3]``, the part of the frame.
        size: h and w.
        extent: height and width of the box.
        start: where the part begins, in px of the box; negative where the box lies beyond the frame's end.
        before, after: rows and columns of the box that are missing on either side of the part.
    """

    pixels: str
    size: str
    extent: str
    start: str
    before: str
    after: str


def visible_part(b: GraphBuilder) -> VisiblePart:
    """Cut the part of ``box`` that lies in ``frame``, and say where in the box it lies.

    At least one row and one column are kept, the nearest to the box, so that there is an edge to repeat.
    """
    one, zero = b.constant([1]), b.constant([0])
    frame_size = b.node("Slice", b.node("Shape", "frame"), zero, b.constant([2]))  # H, W
    corner = b.node("Gather", "box", b.constant([1, 0]))  # y, x
    extent = b.node("Gather", "box", b.constant([3, 2]))  # height, width
    start = b.node("Min", b.node("Max", corner, zero), b.node("Sub", frame_size, one))
    end = b.node("Min", b.node("Add", corner, extent), frame_size)
    end = b.node("Max", end, b.node("Add", start, one))
    size = b.node("Sub", end, start)
    missing = b.node("Sub", extent, size)
    offset = b.node("Sub", start, corner)
    before = b.node("Min", b.node("Max", offset, zero), missing)
    return VisiblePart(
        pixels=b.node("Slice", "frame", start, end, b.constant([0, 1])),
        size=size,
        extent=extent,
        start=offset,
        before=before,
        after=b.node("Sub", missing, before),
    )
