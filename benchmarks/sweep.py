"""Measures many ways to run a bundle, one after the other, into a store that an interrupted sweep resumes.

The store is a file of JSON lines: first what was swept and where, then one line a point, written as soon as
it is known. A line cut short by a kill is measured again.
"""

import json
import os
from dataclasses import asdict

import numpy as np

import flowtell
from flowtell.benchmarks.machine import machine_context, processor_of
from flowtell.benchmarks.probe import Measured, probe
from flowtell.benchmarks.settings_grid import Point

__all__ = ["Store", "sweep", "write_samples"]

SCHEMA = 2


def write_samples(detector, clips, path):
    """Write clips and the outputs that every way to run the bundle is compared with, as `probe` reads them.

    Args:
        detector: the `flowtell.Detector` whose outputs are the reference's: the cpu provider in fp32, which
            the export's gate holds to the Keras model.
        clips: uint8 `[T+1, S, S, 3]` each, all of one T.
        path: of the npz file.
    """
    from flowtell.benchmarks.detector_system import clip_outputs

    np.savez(path, clips=np.stack(clips), wanted=np.stack([clip_outputs(detector, clip) for clip in clips]))


class Store:
    """The file that a sweep writes: what is measured of one bundle on one machine."""

    def __init__(self, path, bundle_sha256, measured_by):
        """Open a store, or begin one.

        Args:
            path: of the file.
            bundle_sha256: of the bundle that is swept.
            measured_by: JSON's own objects that say how: what each point is shown, and for how long.

        Raises:
            flowtell.InputError: where the file cannot be read or written, is no store, or one of another
                bundle, processor or way to measure. It is then as it was.
        """
        self.path = path
        self.head = {
            "schema": SCHEMA,
            "kind": "flowtell sweep",
            "bundle_sha256": bundle_sha256,
            "measured_by": measured_by,
            "machine": machine_context(),
        }
        self.measured = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and path.stat().st_size:
                self._read()
            else:
                self._append(self.head)
        except OSError as error:
            raise flowtell.InputError(
                f"the store '{path}' cannot be read and written: {error.strerror or error}"
            ) from error

    def add(self, point, measured):
        """Keep what was measured of a point; it is on the disk when this returns."""
        self._append({"point": asdict(point), "measured": asdict(measured)})
        self.measured[point] = measured

    def _append(self, line):
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _read(self):
        try:
            text = self.path.read_text(encoding="utf-8")
            *lines, unfinished = text.split("\n")
            if not lines:
                raise ValueError("its first line is not whole, so it holds nothing; remove it")
            head, *rest = (json.loads(line) for line in lines)
            same = [head[key] == self.head[key] for key in ("schema", "kind", "bundle_sha256", "measured_by")]
            same.append(processor_of(head["machine"]) == processor_of(self.head["machine"]))
            for line in rest:
                figures = line["measured"]
                if figures["rounds"] is not None:
                    figures["rounds"] = tuple(figures["rounds"])
                self.measured[Point(**line["point"])] = Measured(**figures)
        except (ValueError, KeyError, TypeError) as error:
            raise flowtell.InputError(f"'{self.path}' is no store of a sweep: {error}") from error
        if not all(same):
            raise flowtell.InputError(
                f"'{self.path}' holds a sweep of another bundle or processor, or one that was measured "
                "otherwise (videos, clips, duration): name a new file"
            )
        if unfinished:
            # its writer was killed in the middle of this line
            self.path.write_text(text[: len(text) - len(unfinished)], encoding="utf-8")


def sweep(bundle_folder, points, samples, store, duration_s, progress=lambda point, done, count: None):
    """Measure every point that the store does not hold yet; return a dict of each `Point` to its `Measured`.

    Args:
        bundle_folder: of the bundle.
        points: `Point`s.
        samples: dict of T to the file of `write_samples` with clips of that length.
        store: a `Store`.
        duration_s: how long each is timed.
        progress: called with the point and how many of how many are done, before it is measured.
    """
    for number, point in enumerate(points):
        if point in store.measured:
            continue
        progress(point, number, len(points))
        store.add(point, probe(bundle_folder, point, samples[point.pairs], duration_s))
    return {point: store.measured[point] for point in points}
