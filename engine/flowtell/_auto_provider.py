"""What `provider="auto"` takes: the fastest provider that says what the CPU says about a probe.

The probe is the first four pairs of the bundled sample, judged by one thread. Where the CPU is the only
provider there is nothing to choose and nothing is run. A choice is kept in the user's cache folder, by the
detector's bytes, the runtimes' versions and the machine, so that it does not change from run to run. The
variable FLOWTELL_PROVIDER names what `auto` takes instead.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from contextlib import suppress
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from . import samples
from ._bundle import Bundle
from ._cache import private_cache_folder
from ._clips import MIN_PAIRS
from ._clock import StageClock
from ._errors import BundleError, DecodeError, IsolationError, ProviderError
from ._frames import open_frames
from ._pipeline import FaceGraphs
from ._providers import Provider, provider_called, usable_providers
from ._sessions import GraphSession, open_session

__all__ = ["PROVIDER_VARIABLE", "named_provider", "open_fastest"]

PROVIDER_VARIABLE = "FLOWTELL_PROVIDER"

_MAX_DRIFT_LOGIT = 1e-3
"""From the CPU's logits. It moves a probability by 0.00025 at most, a quarter of the last digit that is
shown; fp32 on another runtime differs by 2e-5."""

_WORTH_IT = 1.2
"""How many times the CPU's speed another provider must reach: less may be the noise of a busy machine."""

_TIMED_CALLS = 3


def named_provider() -> str:
    """Return what the environment names for `auto`; `auto` where it names nothing."""
    return os.environ.get(PROVIDER_VARIABLE) or "auto"


def open_fastest(
    bundle: Bundle, precision: str, graphs: FaceGraphs, threads: int
) -> tuple[Provider, GraphSession]:
    """Return the provider to judge with, the CPU where nothing is clearly better, and the detector on it.

    Raises:
        BundleError, ProviderError: where the CPU cannot run the bundle, or the provider that the environment
            names cannot be used.
    """
    taken = _fastest(bundle, precision, graphs)
    try:
        return taken, open_session(bundle, "detector", precision, taken, threads)
    except ProviderError:
        # a choice that was kept may be of a day when it opened
        other = _fastest(bundle, precision, graphs, believes_kept=False)
        if other.name == taken.name:
            raise
    return other, open_session(bundle, "detector", precision, other, threads)


def _fastest(bundle: Bundle, precision: str, graphs: FaceGraphs, *, believes_kept: bool = True) -> Provider:
    named = named_provider()
    if named != "auto":
        try:
            return provider_called(named)
        except ProviderError as error:
            raise ProviderError(f"{PROVIDER_VARIABLE}: {error}") from error
    # the first is the CPU, but for what the CPU provider does not compute in
    first, *others = usable_providers(precision)
    if not others or "detector" not in bundle.manifest.graphs:
        return first
    providers = {provider.name: provider for provider in (first, *others)}
    key = _key(bundle, precision, list(providers.values()))
    kept = _read_choice(key) if believes_kept else None
    if kept in providers:
        return providers[kept]
    try:
        chosen, all_opened = _probe(bundle, precision, graphs, first, others)
    except (DecodeError, IsolationError):
        # a host that judges frames of its own may be unable to decode the sample; another time it may
        return first
    if all_opened:
        _keep_choice(key, chosen.name)
    return chosen


def _probe(
    bundle: Bundle, precision: str, graphs: FaceGraphs, cpu: Provider, others: list[Provider]
) -> tuple[Provider, bool]:
    """Return what is fastest, and whether all could be opened: a driver that is not up now may be later."""
    clip = _probe_clip(graphs)
    if clip is None:
        return cpu, True
    wanted, cpu_s = _logits_and_time(open_session(bundle, "detector", precision, cpu, threads=1), clip)
    best, best_s, all_opened = cpu, cpu_s / _WORTH_IT, True
    for provider in others:
        try:
            session = open_session(bundle, "detector", precision, provider, threads=1)
            logits, spent_s = _logits_and_time(session, clip)
        except (BundleError, ProviderError) as error:
            # what cannot run the graph is no candidate; asked for by name it says why
            all_opened = all_opened and isinstance(error, BundleError)
            continue
        agrees = logits.shape == wanted.shape and float(np.abs(logits - wanted).max()) <= _MAX_DRIFT_LOGIT
        if agrees and spent_s < best_s:
            best, best_s = provider, spent_s
    return best, all_opened


def _probe_clip(graphs: FaceGraphs) -> NDArray[np.uint8] | None:
    """Return `uint8 [1, 5, S, S, 3]`; None where the bundle's face graphs find no face in the sample."""
    maker = replace(graphs, pairs_per_clip=MIN_PAIRS).clip_maker(StageClock())
    with open_frames(samples.natural_path()) as frames:
        for frame in frames:
            for clip in maker.push(frame):
                return clip.frames[None]
    return None


def _logits_and_time(session: GraphSession, clip: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float]:
    """Return the pair logits of the probe, and the shortest time of a call, in seconds."""
    (logits,) = session.run(("pair_logits",), clips=clip)
    times = []
    for _ in range(_TIMED_CALLS):
        begun_s = time.perf_counter()
        session.run(("pair_logits",), clips=clip)
        times.append(time.perf_counter() - begun_s)
    return logits, min(times)


def _key(bundle: Bundle, precision: str, providers: list[Provider]) -> str:
    entry = bundle.manifest.graphs["detector"].get(precision)
    facts = (
        entry.sha256 if entry else "",
        platform.node(),
        platform.machine(),
        *(provider.version() for provider in providers),
    )
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _read_choice(key: str) -> str | None:
    try:
        kept = json.loads((private_cache_folder() / "auto" / f"{key}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, ProviderError):
        return None
    return kept if isinstance(kept, str) else None


def _keep_choice(key: str, name: str) -> None:
    # a choice that cannot be kept is made again
    with suppress(OSError, ProviderError):
        folder = private_cache_folder() / "auto"
        folder.mkdir(exist_ok=True)
        unfinished = folder / f"{key}.{os.getpid()}"
        unfinished.write_text(json.dumps(name), encoding="utf-8")
        unfinished.replace(folder / f"{key}.json")
