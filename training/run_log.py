"""What a run says about itself: a CSV that is always whole, and TensorBoard's event files."""

import csv
import time

from flowtell.training.run_folder import whole_file

__all__ = ["RunLog", "read_log"]

LOG_NAME = "log.csv"
# What the first event of a file states (tensorflow/core/util/event.proto, `file_version`).
_EVENT_VERSION = "brain.Event:2"


class RunLog:
    """Writes one row an epoch into `log.csv` and into TensorBoard's files.

    Args:
        folder: of the run.
    """

    def __init__(self, folder):
        self._folder = folder
        self._events = None

    def write(self, history):
        """Write all epochs so far; the last is what is new. Rows are dicts with the same keys."""
        with whole_file(self._folder / LOG_NAME) as scratch, scratch.open("w", newline="") as file:
            rows = csv.DictWriter(file, list(history[-1]))
            rows.writeheader()
            rows.writerows(history)
        self._write_event(history[-1])

    def _write_event(self, row):
        """Append an event. `tf.summary.scalar` would do, but asks for TensorBoard to be installed."""
        # TensorFlow comes with the extra `train`, whatever Keras runs on.
        import tensorflow as tf

        if self._events is None:
            folder = self._folder / "tensorboard"
            folder.mkdir(exist_ok=True)
            # A run that goes on writes a file of its own; TensorBoard reads them in the order of their names.
            name = f"events.out.tfevents.{row['step']:010d}.flowtell"
            self._events = tf.io.TFRecordWriter(str(folder / name))
            first = tf.compat.v1.Event(wall_time=time.time(), file_version=_EVENT_VERSION)
            self._events.write(first.SerializeToString())
        values = [
            tf.compat.v1.Summary.Value(tag=name, simple_value=value)
            for name, value in row.items()
            if name not in ("epoch", "step")
        ]
        event = tf.compat.v1.Event(
            wall_time=time.time(), step=row["step"], summary=tf.compat.v1.Summary(value=values)
        )
        self._events.write(event.SerializeToString())
        self._events.flush()

    def close(self):
        """Close the event file."""
        if self._events is not None:
            self._events.close()


def read_log(folder):
    """Return the rows of a run's `log.csv`, numbers as floats.

    Raises:
        FileNotFoundError: there is none.
    """
    with (folder / LOG_NAME).open(newline="") as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
