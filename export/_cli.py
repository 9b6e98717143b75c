"""The commands ``flowtell export`` and ``flowtell check``."""

from __future__ import annotations

import importlib
import os

_MODULES = {"check": "flowtell.export._cli_check", "export": "flowtell.export._cli_export"}


def main(argv: list[str]) -> int:
    """Run the command that ``argv[0]`` names; return its exit code."""
    # TensorFlow reads this when it is imported and is chatty otherwise; a user's own setting stays.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    code: int = importlib.import_module(_MODULES[argv[0]]).main(argv)
    return code
