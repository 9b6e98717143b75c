"""The whole state of a run in one file, so that it goes on exactly where it was stopped."""

import json

import numpy as np
from keras import ops

from flowtell import InputError
from flowtell.training.run_folder import whole_file

__all__ = ["load_state", "save_state"]


def save_state(path, variables, record):
    """Write variables and a record; the file appears whole or not at all.

    Args:
        path: of the `.npz` to write.
        variables: Keras variables of model and optimizer, seeds of dropout included, in a fixed order.
        record: what else the run must know, as JSON can hold it.
    """
    arrays = {f"v{index:05d}": ops.convert_to_numpy(v) for index, v in enumerate(variables)}
    with whole_file(path) as scratch:
        np.savez(scratch, record=np.array(json.dumps(record)), **arrays)


def load_state(path, variables):
    """Set variables from a file of `save_state` and return its record; None where there is no file.

    Raises:
        InputError: the file is of another model.
    """
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as stored:
        shapes = [stored[name].shape for name in sorted(stored.files) if name != "record"]
        if shapes != [tuple(v.shape) for v in variables]:
            raise InputError(f"'{path}' is the state of another model; name another folder for this run")
        for index, variable in enumerate(variables):
            variable.assign(stored[f"v{index:05d}"])
        return json.loads(str(stored["record"]))
