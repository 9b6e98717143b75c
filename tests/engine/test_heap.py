"""What a file leaves free in the allocator goes back to the system."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from processes import printed_by

from flowtell._heap import HeapTrimmer, _trim_of_library

pytestmark = pytest.mark.skipif(_trim_of_library() is None, reason="this C library has no malloc_trim")

FRAGMENT = """
    import numpy as np
    from flowtell._heap import HeapTrimmer

    kept = []

    def fragment():
        # 200 MB of blocks that the allocator takes from its heap, each before one that stays
        blocks = [(np.ones(100_000, np.uint8), np.ones(2000, np.uint8)) for _ in range(2000)]
        kept.extend(small for _, small in blocks)

    fragment()
"""
fragmented = partial(printed_by, setup=FRAGMENT)


def test_what_lies_free_between_what_stays_goes_back():
    before, after = map(float, fragmented("""
        print(resident_mb())
        with HeapTrimmer(10).run():
            pass
        print(resident_mb())
    """))  # fmt: skip
    assert before - after > 150


def test_it_goes_back_after_a_file_however_soon_it_ends(tiny_bundle: Path):
    first, after_first, second, after_second = map(float, fragmented("""
        with flowtell.Detector.open(sys.argv[1]) as detector:
            for _ in range(2):
                print(resident_mb())
                detector.detect(flowtell.samples.natural_path(), max_clips=1)
                print(resident_mb())
                fragment()
    """, str(tiny_bundle)))  # fmt: skip
    assert first - after_first > 100
    assert second - after_second > 100


def trims_of(trimmer: HeapTrimmer) -> list[int]:
    """Return a list that grows by one with every time the trimmer empties the heap."""
    seen: list[int] = []
    empty = trimmer._trim
    assert empty is not None

    def counted(pad: int) -> int:
        seen.append(pad)
        return empty(pad)

    trimmer._trim = counted
    return seen


def test_it_pauses_while_anything_runs_and_not_at_the_end():
    trimmer = HeapTrimmer(pause_s=3600)
    seen = trims_of(trimmer)
    with trimmer.run():
        counts = []
        for _ in range(3):
            with trimmer.run():
                pass
            counts.append(len(seen))
    assert counts == [1, 1, 1]
    assert len(seen) == 2
    with trimmer.run():
        pass
    assert len(seen) == 3


def test_what_it_has_released_is_released_before_and_only_at_rest():
    events: list[str] = []
    trimmer = HeapTrimmer(pause_s=0, release=lambda: events.append("release"))
    trimmer._trim = lambda _: events.append("trim") or 1
    with trimmer.run():
        with trimmer.run():
            pass
        assert events == ["trim"]
    assert events == ["trim", "release", "trim"]
    trimmer._trim = None
    with trimmer.run():
        pass
    assert events == ["trim", "release", "trim", "release"]


def test_it_does_not_pause_longer_than_asked():
    trimmer = HeapTrimmer(pause_s=0)
    seen = trims_of(trimmer)
    with trimmer.run():
        for _ in range(3):
            with trimmer.run():
                pass
    assert len(seen) == 4


def test_a_run_that_fails_gives_back_too():
    trimmer = HeapTrimmer(pause_s=3600)
    seen = trims_of(trimmer)
    for _ in range(2):
        with pytest.raises(KeyError), trimmer.run():
            raise KeyError
    assert len(seen) == 2


FREED_AT_THE_END = """
    from flowtell._heap import keep_little_free
    if sys.argv[1] == "little":
        keep_little_free()
    # what is freed raises glibc's own thresholds
    for size_mb in (8, 16, 31):
        np.ones(size_mb << 20, np.uint8)
    before = resident_mb()
    # larger than the holes that there are
    blocks = [np.ones(120_000, np.uint8) for _ in range(500)]
    del blocks
    print(resident_mb() - before)
"""

HEAPS_OF_THREADS = """
    import ctypes, threading
    from flowtell._heap import keep_little_free
    if sys.argv[1] == "shared":
        keep_little_free()
    all_at_once = threading.Barrier(6)

    def allocate():
        np.ones(2000, np.uint8)
        all_at_once.wait()

    threads = [threading.Thread(target=allocate) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    library = ctypes.CDLL(None)
    library.fopen.restype = ctypes.c_void_p
    file = ctypes.c_void_p(library.fopen(sys.argv[2].encode(), b"w"))
    assert library.malloc_info(0, file) == library.fclose(file) == 0
    print(open(sys.argv[2]).read().count("<heap nr="))
"""


@pytest.fixture
def no_settings(monkeypatch):
    for name in ("GLIBC_TUNABLES", "MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("no_settings")
def test_a_command_has_what_it_frees_go_back():
    (much,), (little,) = (fragmented(FREED_AT_THE_END, word) for word in ("much", "little"))
    assert float(much) > 30
    assert float(little) < 10


@pytest.mark.usefixtures("no_settings")
def test_a_commands_threads_share_one_heap(tmp_path):
    """Nothing but a free of their own empties the end of a thread's heap."""
    (own,), (shared,) = (
        fragmented(HEAPS_OF_THREADS, word, str(tmp_path / "info")) for word in ("own", "shared")
    )
    assert int(own) > 2
    assert int(shared) == 1


@pytest.mark.usefixtures("no_settings")
def test_what_the_environment_says_of_the_heap_is_left(monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", str(1 << 30))
    (much,) = fragmented(FREED_AT_THE_END, "little")
    assert float(much) > 30
