"""The provider `tensorrt` by way of a plan that `flowtell plan` has built.

Nothing of TensorRT is asked to open a plan before the driver has shown a GPU: it can end the process without.
"""

from __future__ import annotations

import hashlib

from ._cuda import has_cuda_bindings, load_cuda
from ._errors import ProviderError
from ._nvidia import NoGpuError, first_gpu
from ._plan_cache import NoPlanError, PlanCache, RefusedPlanError
from ._plan_key import PlanKey, system_name
from ._plan_runner import PlanRunner
from ._runner import GraphRunner, GraphSource
from ._tensorrt import Backend, backend_called

__all__ = ["NAME", "open_graph", "version", "why_not"]

NAME = "TensorRT plan"


def why_not() -> str | None:
    """Return why it cannot be used here, or None where it may be."""
    try:
        backend_called(None)
        if not has_cuda_bindings():
            return "the provider 'tensorrt' needs the package cuda-bindings: pip install 'flowtell[tensorrt]'"
        first_gpu()
    except ProviderError as error:
        return f"the provider 'tensorrt' needs TensorRT, and {error}"
    except NoGpuError as error:
        return f"the provider 'tensorrt' needs a CUDA GPU, and {error}"
    return None


def version() -> str:
    """Return what computes, with its version."""
    backend = backend_called(None)
    return f"{backend.name} {backend.version()}"


def plan_key(source: GraphSource, backend: Backend) -> PlanKey:
    """Return the key of the plan that this machine's GPU needs.

    Raises:
        ProviderError: where there is no GPU, or TensorRT cannot be loaded.
    """
    try:
        gpu = first_gpu()
    except NoGpuError as error:
        raise ProviderError(f"the provider 'tensorrt' needs a CUDA GPU, and {error}") from None
    return PlanKey(
        graph_sha256=hashlib.sha256(source.data).hexdigest(),
        backend=backend.name,
        version=backend.version(),
        gpu=gpu.name if backend.is_for_one_gpu else "",
        compute_capability=gpu.compute_capability,
        precision=source.precision,
        profile=source.profile,
        system=system_name(),
    )


def open_graph(source: GraphSource, threads: int) -> GraphRunner:
    """Open the plan of a graph for `threads` callers at a time.

    Raises:
        ProviderError: where there is no GPU, no plan for it that was made here, or TensorRT refuses it.
    """
    backend = backend_called(None)
    key = plan_key(source, backend)
    try:
        plan = PlanCache.open().read(key)
    except NoPlanError:
        raise ProviderError(
            f"no plan of '{source.file}' for this GPU ({key.compute_capability}) is in the cache: "
            f"run 'flowtell plan BUNDLE --precision {source.precision}'"
        ) from None
    except RefusedPlanError as error:
        raise ProviderError(f"{error}; 'flowtell plan' builds it again") from error
    return PlanRunner(plan, source.file, backend.load(), load_cuda(), threads)
