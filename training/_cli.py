"""The commands ``flowtell prepare``, ``flowtell train`` and ``flowtell evaluate``."""

from flowtell._cli_quiet import import_quietly

_MODULES = {
    "evaluate": "flowtell.training._cli_evaluate",
    "prepare": "flowtell.training._cli_prepare",
    "train": "flowtell.training._cli_train",
}


def main(argv):
    """Run the command that ``argv[0]`` names; return its exit code."""
    return import_quietly(_MODULES[argv[0]]).main(argv)
