"""Which inference runtimes flowtell can use here, and why not the others.

A provider asked for by name is used or it is an error; `auto` takes what is usable, and results say which.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType

from ._errors import ProviderError
from ._version import __version__

__all__ = ["PROVIDER_NAMES", "Provider", "load_onnxruntime", "resolve_provider", "why_not"]

PROVIDER_NAMES = ("auto", "cpu", "openvino", "cuda", "tensorrt")
"""What `provider=` accepts. Those outside `_BUILT_IN` are known by name and refused with the reason."""

_INSTALL = "install one with: pip install 'flowtell[cpu]'"


@dataclass(frozen=True)
class Provider:
    """A usable provider.

    Attributes:
        name: flowtell's short one.
        ort_name: the name that ONNX Runtime and results use.
        clips_per_call: how many face clips of T pairs share a call to the detector at most.
    """

    name: str
    ort_name: str
    clips_per_call: int


_BUILT_IN = {"cpu": Provider("cpu", "CPUExecutionProvider", clips_per_call=1)}


def load_onnxruntime() -> ModuleType:
    """Import ONNX Runtime when it is first needed, so that `import flowtell` stays light and always works.

    Raises:
        ProviderError: where none is installed, or the installed one cannot be loaded.
    """
    try:
        return importlib.import_module("onnxruntime")
    except ModuleNotFoundError as error:
        if error.name != "onnxruntime":
            raise ProviderError(f"onnxruntime is installed but lacks the module '{error.name}'") from error
        raise ProviderError(f"no onnxruntime is installed: {_INSTALL}") from error
    except ImportError as error:
        raise ProviderError(f"onnxruntime cannot be loaded ({error}): reinstall it") from error


def why_not(name: str) -> str | None:
    """Return why the provider called `name` cannot be used here, in one sentence, or None where it can.

    Raises:
        ProviderError: where there is no provider of that name.
    """
    if name not in PROVIDER_NAMES:
        raise ProviderError(f"there is no provider '{name}': choose one of {', '.join(PROVIDER_NAMES)}")
    if name != "auto" and name not in _BUILT_IN:
        return f"the provider '{name}' is not built into flowtell {__version__}: use 'cpu' or 'auto'"
    try:
        available = load_onnxruntime().get_available_providers()
    except ProviderError as error:
        return str(error)
    if _BUILT_IN["cpu"].ort_name not in available:
        return "this build of onnxruntime has no CPU provider: install onnxruntime from PyPI"
    return None


def resolve_provider(name: str) -> Provider:
    """Return the provider that `name` stands for; `auto` stands for the CPU in this version.

    Raises:
        ProviderError: where it cannot be used here; the message says why.
    """
    reason = why_not(name)
    if reason is not None:
        raise ProviderError(reason)
    return _BUILT_IN["cpu" if name == "auto" else name]
