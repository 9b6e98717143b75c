"""The runtimes of contenders, in the process that measures."""

import subprocess
import sys

import pytest

from flowtell import ProviderError
from flowtell.benchmarks.runtimes import openvino_model

SIGNAL_AFTER_A_CONTENDER = """
import os, signal, sys, threading
from pathlib import Path
from flowtell.benchmarks.runtimes import openvino_model

signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
models = [openvino_model(Path(sys.argv[1]).read_bytes(), 1)]
forgetting = threading.Thread(target=models.clear)
forgetting.start()
forgetting.join()
os.kill(os.getpid(), signal.SIGTERM)
"""


def test_signals_are_heard_after_another_thread_forgot_a_contender(tiny_bundle):
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    command = [sys.executable, "-c", SIGNAL_AFTER_A_CONTENDER, str(tiny_bundle / "detector.onnx")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (7, "")


def test_openvino_that_is_not_there_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ProviderError, match="pip install"):
        openvino_model(b"", 1)
