"""What ONNX Runtime's sessions keep for their next run goes back when nothing runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import onnx
import pytest
from processes import printed_by

from flowtell import _shared_arena
from flowtell._shared_arena import SharedArena


def test_the_graph_that_is_run_to_empty_it_is_an_identity():
    model = onnx.load_from_string(_shared_arena._IDENTITY)
    onnx.checker.check_model(model, full_check=True)
    assert [(node.op_type, node.input, node.output) for node in model.graph.node] == [
        ("Identity", ["x"], ["y"])
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/statm")
def test_what_calls_needed_goes_back_when_a_file_is_done(tiny_bundle: Path):
    opened, computed, rested, again, rested_again = map(float, printed_by("""
        import numpy as np
        with flowtell.Detector.open(sys.argv[1], provider="cpu", threads=1) as detector:
            print(resident_mb())
            side = detector.bundle.manifest.crop_size
            clips = np.zeros((1, 400, side, side, 3), np.uint8)
            for _ in range(2):
                detector.score_clips(clips)
                print(resident_mb())
                detector.detect(flowtell.samples.natural_path(), max_clips=1)
                print(resident_mb())
    """, str(tiny_bundle)))  # fmt: skip
    assert computed - opened > 100
    assert computed - rested > 0.7 * (computed - opened)
    assert again - rested_again > 0.7 * (computed - opened)


def test_closing_gives_back_what_clips_were_scored_in(tiny_bundle: Path):
    opened, computed, closed = map(float, printed_by("""
        import numpy as np
        with flowtell.Detector.open(sys.argv[1], provider="cpu", threads=1) as detector:
            print(resident_mb())
            side = detector.bundle.manifest.crop_size
            detector.score_clips(np.zeros((1, 400, side, side, 3), np.uint8))
            print(resident_mb())
        print(resident_mb())
    """, str(tiny_bundle)))  # fmt: skip
    assert computed - closed > 0.7 * (computed - opened) > 70


def test_scores_are_the_same_while_it_is_emptied(tiny_bundle: Path):
    assert printed_by("""
        import threading
        import numpy as np
        from flowtell._shared_arena import shared_arena
        over = threading.Event()

        def keep_emptying():
            while not over.is_set():
                shared_arena.empty()

        with flowtell.Detector.open(sys.argv[1], provider="cpu") as detector:
            side = detector.bundle.manifest.crop_size
            clips = np.random.default_rng(0).integers(0, 256, (4, 5, side, side, 3), np.uint8)
            wanted = detector.score_clips(clips).pair_logits
            thread = threading.Thread(target=keep_emptying)
            thread.start()
            same = [np.array_equal(detector.score_clips(clips).pair_logits, wanted) for _ in range(20)]
            over.set()
            thread.join()
        print(sum(same))
    """, str(tiny_bundle)) == ["20"]  # fmt: skip


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_opens_a_detector_whatever_its_parent_held(tiny_bundle: Path):
    assert printed_by("""
        from flowtell._heap import process_heap
        from flowtell._shared_arena import shared_arena
        detector = flowtell.Detector.open(sys.argv[1], provider="cpu")
        with shared_arena._lock, process_heap.run():
            child = os.fork()
            if child == 0:
                with flowtell.Detector.open(sys.argv[1], provider="cpu") as own:
                    result = own.detect(flowtell.samples.natural_path(), max_clips=1)
                print(result.state, len(process_heap._running), flush=True)
                os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """, str(tiny_bundle)) == ["ok", "0", "0"]  # fmt: skip


def test_where_there_are_no_arenas_sessions_are_left_as_they_were():
    assert printed_by("""
        import onnxruntime
        from flowtell._shared_arena import SharedArena

        class Bare(onnxruntime.InferenceSession):
            def run(self, *_):
                raise RuntimeError("no arena")

        class WithoutArenas:
            InferenceSession = Bare

            def __getattr__(self, name):
                return getattr(onnxruntime, name)

        arena = SharedArena()
        settings = onnxruntime.SessionOptions()
        arena.share(WithoutArenas(), settings)
        arena.empty()
        try:
            settings.get_session_config_entry("session.use_env_allocators")
        except RuntimeError:
            print("not set")
    """) == ["not", "set"]  # fmt: skip


def test_what_goes_wrong_while_it_is_emptied_loses_no_result():
    arena = SharedArena()
    arena.empty()

    def fail():
        raise RuntimeError("no memory")

    arena._run_emptying = fail
    arena.empty()
