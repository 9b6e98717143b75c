"""Whether a package is there, which is not imported for that."""

from __future__ import annotations

import importlib.util
import sys

__all__ = ["is_installed"]


def is_installed(module: str) -> bool:
    """Tell whether a top-level module may be imported; a mere folder that bears its name is none."""
    if sys.modules.get(module, ...) is None:
        return False
    spec = importlib.util.find_spec(module)
    return spec is not None and spec.origin is not None
