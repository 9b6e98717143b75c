"""`flowtell doctor`: what is usable on this machine, and why the rest is not."""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass

from . import _provider_openvino
from ._auto_provider import PROVIDER_VARIABLE, named_provider
from ._bundle import Bundle
from ._detector import Detector
from ._errors import FlowtellError, ProviderError
from ._frames import describe_decoder
from ._onnxruntime import load_onnxruntime
from ._providers import PROVIDER_NAMES, provider_called, why_not
from ._sessions import open_session
from ._usable_cores import usable_cores
from ._version import __version__

__all__ = ["main"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: whether it is usable, what it is or why not, and if judging needs it."""

    name: str
    usable: bool
    detail: str
    needed: bool


def main(argv: list[str]) -> int:
    """Show what is usable; return 0 if videos can be judged here, else 1."""
    parser = argparse.ArgumentParser(
        prog="flowtell doctor", description="Show what is usable on this machine, and why the rest is not."
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(argv[1:])
    findings = examine()
    can_judge = all(finding.usable for finding in findings if finding.needed)
    if arguments.json:
        print(json.dumps({"can_judge": can_judge, "findings": [asdict(finding) for finding in findings]}))
    else:
        for finding in findings:
            word = "yes" if finding.usable else "NO" if finding.needed else "no"
            print(f"{word:4}{finding.name:22}{finding.detail}")
        print("videos can be judged here" if can_judge else "videos cannot be judged here: see NO above")
    return 0 if can_judge else 1


def examine() -> list[Finding]:
    """Look at everything that judging a video needs, and at every provider."""
    findings = [
        Finding("flowtell", True, __version__, True),
        Finding("python", True, f"{platform.python_version()} on {platform.platform()}", True),
        Finding("cores", True, f"{usable_cores()} usable", True),
        _try("numpy", lambda: _version_of("numpy")),
        _try("PyAV", lambda: _version_of("av")),
        _try("video decoder", describe_decoder),
        _try("onnxruntime", _onnxruntime),
    ]
    for name in PROVIDER_NAMES:
        named = named_provider() if name == "auto" else name
        reason = _why_not_usable(named)
        detail = reason or "usable"
        if named != name:
            detail += f"; {PROVIDER_VARIABLE} says {named}"
        findings.append(Finding(f"provider {name}", reason is None, detail, name == "auto"))
    findings.append(_bf16())
    findings.append(_try("default bundle", _default_bundle))
    return findings


def _why_not_usable(name: str) -> str | None:
    try:
        return why_not(name) or _why_not_opened(name)
    except ProviderError as error:
        # the variable names none that there is
        return str(error)


def _why_not_opened(name: str) -> str | None:
    """Return why a provider that is installed does not open a graph here, as where there is no GPU."""
    if name in ("auto", "cpu"):
        # they open with the default bundle
        return None
    provider = provider_called(name)
    if provider.most_clips_per_call is not None:
        # it runs plans, has asked for the GPU itself, and which plans there are is a bundle's affair
        return None
    try:
        # a small one: ONNX Runtime takes minutes to make a TensorRT plan of the detector
        open_session(Bundle.open(), "cuts", "fp32", provider, 1)
    except FlowtellError as error:
        return str(error)
    return None


def _try(name: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, look(), True)
    except (FlowtellError, ImportError) as error:
        return Finding(name, False, str(error), True)


def _bf16() -> Finding:
    reason = why_not("openvino")
    if reason is None:
        try:
            reason = _provider_openvino.why_not_bf16()
        except FlowtellError as error:
            reason = str(error)
    return Finding("precision bf16", reason is None, reason or "usable, by openvino", False)


def _version_of(module: str) -> str:
    return str(importlib.import_module(module).__version__)


def _onnxruntime() -> str:
    ort = load_onnxruntime()
    installed = {name for name in ("onnxruntime", "onnxruntime-gpu") if _is_installed(name)}
    if len(installed) > 1:
        raise FlowtellError(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other: uninstall both, "
            "then install one"
        )
    return f"{ort.__version__} with {', '.join(ort.get_available_providers())}"


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _default_bundle() -> str:
    bundle = Bundle.open()
    Detector.open(bundle, provider="auto", threads=1)
    return f"'{bundle.manifest.name}' at {bundle.path} opens"
