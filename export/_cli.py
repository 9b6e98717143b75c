"""The commands ``flowtell export``, ``flowtell check`` and ``flowtell plan``."""

from __future__ import annotations

from flowtell._cli_quiet import import_quietly

_MODULES = {
    "check": "flowtell.export._cli_check",
    "export": "flowtell.export._cli_export",
    "plan": "flowtell.export._cli_plan",
}


def main(argv: list[str]) -> int:
    """Run the command that ``argv[0]`` names; return its exit code."""
    code: int = import_quietly(_MODULES[argv[0]]).main(argv)
    return code
