"""``flowtell plan``: builds TensorRT plans of a bundle's graphs into the user's cache."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flowtell import Bundle, InputError, ProviderError
from flowtell._bundle import default_bundle_path
from flowtell._cli_progress import TerminalLine
from flowtell._manifest import PRECISIONS
from flowtell._nvidia import Gpu, NoGpuError, first_gpu
from flowtell._plan_cache import NoPlanError, PlanCache, RefusedPlanError
from flowtell._plan_key import PlanKey, profile_of, system_name
from flowtell._providers import computes_in
from flowtell._tensorrt import BACKENDS, Backend, backend_called
from flowtell.export.plans import PlanRefusedError, build_plan, require_capability

# The word for each state, and what the exit code makes of it.
_HERE, _BUILT, _REBUILT, _REFUSED = "in cache", "built", "rebuilt", "refused"


@dataclass(frozen=True)
class _Target:
    """A GPU to build for; `name` is empty where the plan serves a compute capability."""

    name: str
    compute_capability: str


@dataclass(frozen=True)
class _Outcome:
    """What became of one plan; times in seconds, None where nothing was built."""

    graph: str
    precision: str
    compute_capability: str
    state: str
    plan_bytes: int | None
    build_s: float | None
    path: str | None
    reason: str | None


def main(argv: list[str]) -> int:
    """Build what ``argv`` names; return 0, or 1 where TensorRT refuses a graph."""
    arguments = _parser().parse_args(argv[1:])
    bundle = Bundle.open(arguments.bundle)
    wanted = _wanted_graphs(bundle, arguments.precision)
    backend = backend_called(arguments.backend)
    targets = _targets(backend, arguments.compute_capability)
    cache = PlanCache.open()
    outcomes = []
    line = TerminalLine(sys.stderr)
    with cache.locked(lambda: print("another flowtell builds plans: waiting for it", file=sys.stderr)):
        for graph, precision in wanted:
            for target in targets:
                outcome = _provide(cache, bundle, graph, precision, backend, target, line)
                outcomes.append(outcome)
                line.wipe()
                if not arguments.json:
                    print(_row(outcome), flush=True)
    if arguments.json:
        report = {
            "bundle": {"name": bundle.manifest.name, "sha256": bundle.sha256},
            "backend": backend.name,
            "version": backend.version(),
            "plans": [vars(outcome) for outcome in outcomes],
        }
        print(json.dumps(report))
    return 1 if any(outcome.state == _REFUSED for outcome in outcomes) else 0


def _wanted_graphs(bundle: Bundle, precisions: Sequence[str]) -> list[tuple[str, str]]:
    """Return graph and precision of every plan: all that a GPU runs, or those in the precisions given."""
    found = [
        (graph, precision)
        for graph in bundle.manifest.graphs
        if profile_of(graph, bundle.manifest) is not None
        for precision in bundle.precisions(graph)
        if computes_in("tensorrt", precision)
    ]
    for precision in precisions:
        if precision not in {known for _, known in found}:
            bundle.read_graph("detector", precision)  # says what there is, and how to make more
    if not found:
        raise InputError(f"the bundle '{bundle.manifest.name}' has no graph that runs on a GPU")
    return [pair for pair in found if not precisions or pair[1] in precisions]


def _targets(backend: Backend, capabilities: Sequence[str]) -> list[_Target]:
    if capabilities and backend.is_for_one_gpu:
        raise InputError(
            f"{backend.title} builds for the GPU that is here: leave --compute-capability out, "
            "or name --backend tensorrt_rtx"
        )
    for number in capabilities:
        require_capability(backend, number)
    if capabilities:
        return [_Target("", number) for number in capabilities]
    try:
        gpu: Gpu = first_gpu()
    except NoGpuError as error:
        hint = "" if backend.is_for_one_gpu else ": name a GPU's compute capability with --compute-capability"
        raise ProviderError(f"there is no CUDA GPU to build for, {error}{hint}") from None
    return [_Target(gpu.name if backend.is_for_one_gpu else "", gpu.compute_capability)]


def _provide(
    cache: PlanCache,
    bundle: Bundle,
    graph: str,
    precision: str,
    backend: Backend,
    target: _Target,
    line: TerminalLine,
) -> _Outcome:
    """See that a plan is in the cache; the lock is held."""
    data = bundle.read_graph(graph, precision)
    key = PlanKey(
        graph_sha256=hashlib.sha256(data).hexdigest(),
        backend=backend.name,
        version=backend.version(),
        gpu=target.name,
        compute_capability=target.compute_capability,
        precision=precision,
        profile=profile_of(graph, bundle.manifest) or {},
        system=system_name(),
    )
    common = (graph, precision, target.compute_capability)
    state, reason = _BUILT, None
    try:
        there = cache.read(key)
        return _Outcome(*common, _HERE, len(there), None, str(cache.path(key)), None)
    except NoPlanError:
        pass
    except RefusedPlanError as error:
        state, reason = _REBUILT, str(error)
    begun_s = time.monotonic()

    def show(phase: str) -> None:
        line.draw(
            lambda: (
                f"{graph} {precision} for {target.compute_capability}: {phase}, "
                f"{time.monotonic() - begun_s:.0f} s so far"
            )
        )

    try:
        built = build_plan(backend, data, key, bundle.manifest.graphs[graph][precision].file, show)
    except PlanRefusedError as error:
        return _Outcome(*common, _REFUSED, None, None, None, str(error))
    path = cache.write(key, built.data)
    return _Outcome(*common, state, built.data.nbytes, built.build_s, str(path), reason)


def _row(outcome: _Outcome) -> str:
    words = f"{outcome.graph:10} {outcome.precision:4} for {outcome.compute_capability:>4}  {outcome.state:8}"
    if outcome.plan_bytes is not None:
        words += f"  {outcome.plan_bytes / 1e6:7.1f} MB"
    if outcome.build_s is not None:
        words += f"  {outcome.build_s:6.1f} s"
    if outcome.reason is not None:
        words += f"  {outcome.reason}"
    return words


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="flowtell plan",
        description="Build TensorRT plans of a bundle's graphs into the cache, where they are not there yet.",
        epilog="Exit code: 0 every plan is there, 1 TensorRT refused a graph, 2 wrong usage or nothing to "
        "build with. Plans lie in the folder 'plans' of flowtell's cache; it may be deleted at any time.",
    )
    parser.add_argument(
        "bundle",
        type=Path,
        nargs="?",
        default=default_bundle_path(),
        metavar="BUNDLE",
        help="its folder (default: the own one)",
    )
    parser.add_argument(
        "--precision",
        choices=[name for name in PRECISIONS if computes_in("tensorrt", name)],
        nargs="+",
        default=[],
        help="only these of the bundle's (default: all of them that it has)",
    )
    parser.add_argument(
        "--compute-capability",
        nargs="+",
        default=[],
        metavar="X.Y",
        help="of the GPUs to build for, such as 8.6, with no need of one here (default: this machine's GPU)",
    )
    parser.add_argument(
        "--backend",
        choices=[backend.name for backend in BACKENDS],
        help="which TensorRT builds (default: tensorrt where it is installed, else tensorrt_rtx)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser
