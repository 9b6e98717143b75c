"""What `auto` takes: what is faster and agrees, remembered, and never what does not open."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from flowtell import Detector, IsolationError, ProviderError, _auto_provider
from flowtell._cli_doctor import examine


@pytest.mark.skipif(sys.platform == "win32", reason="the cache folder has another variable there")
@pytest.mark.parametrize(("drift", "taken"), [(1e-3, "OpenVINO CPU"), (-1.0, "CPUExecutionProvider")])
def test_auto_takes_what_is_faster_only_where_it_agrees_and_remembers(
    tiny_bundle, openvino, own_cache, monkeypatch, drift, taken
):
    monkeypatch.setattr("flowtell._auto_provider._MAX_DRIFT_LOGIT", drift)
    monkeypatch.setattr("flowtell._auto_provider._WORTH_IT", 1e-9)  # whatever agrees is fast enough
    with Detector.open(tiny_bundle, provider="auto", threads=1) as detector:
        assert detector.provider == taken
    (kept,) = (own_cache / "auto").iterdir()
    assert json.loads(kept.read_text()) == ("openvino" if taken.startswith("OpenVINO") else "cpu")
    kept.write_text('"openvino"' if taken.startswith("CPU") else '"cpu"')
    with Detector.open(tiny_bundle, provider="auto", threads=1) as detector:
        assert detector.provider != taken


def test_the_environment_says_what_auto_takes(tiny_bundle, openvino, own_cache, monkeypatch):
    monkeypatch.setenv("FLOWTELL_PROVIDER", "openvino")
    with Detector.open(tiny_bundle, threads=1) as detector:
        assert detector.provider == "OpenVINO CPU"
    monkeypatch.setenv("FLOWTELL_PROVIDER", "")
    assert Detector.open(tiny_bundle, threads=1).provider in ("CPUExecutionProvider", "OpenVINO CPU")
    monkeypatch.setenv("FLOWTELL_PROVIDER", "abacus")
    auto = next(finding for finding in examine() if finding.name == "provider auto")
    assert not auto.usable
    assert auto.detail.startswith("there is no provider 'abacus': choose one of auto, ")
    assert auto.detail.endswith("; FLOWTELL_PROVIDER says abacus")
    with pytest.raises(ProviderError, match="FLOWTELL_PROVIDER: there is no provider 'abacus'"):
        Detector.open(tiny_bundle)
    assert Detector.open(tiny_bundle, provider="cpu").provider == "CPUExecutionProvider"


def test_auto_is_the_cpu_where_the_sample_cannot_be_decoded(tiny_bundle, openvino, own_cache, monkeypatch):
    def none(path):
        raise IsolationError("no process that decodes videos can be started")

    monkeypatch.setattr("flowtell._auto_provider.open_frames", none)
    assert Detector.open(tiny_bundle, threads=1).provider == "CPUExecutionProvider"
    # another time it may be: nothing is remembered
    assert not (own_cache / "auto").exists()


def test_auto_goes_on_where_what_it_took_before_does_not_open(tiny_bundle, openvino, own_cache, monkeypatch):
    monkeypatch.setattr("flowtell._auto_provider._WORTH_IT", 1e-9)
    opened = _auto_provider.open_session

    def broken(bundle, graph, precision, provider, threads):
        if provider.name == "openvino":
            raise ProviderError("its library is gone")
        return opened(bundle, graph, precision, provider, threads)

    monkeypatch.setattr(_auto_provider, "open_session", broken)
    with Detector.open(tiny_bundle, threads=1) as detector:
        assert detector.provider == "CPUExecutionProvider"
    # it may be back another time: that it was not there is not remembered
    assert not (own_cache / "auto").exists()
    monkeypatch.setattr(_auto_provider, "open_session", opened)
    with Detector.open(tiny_bundle, threads=1) as detector:
        assert detector.provider == "OpenVINO CPU"
    monkeypatch.setattr(_auto_provider, "open_session", broken)
    with Detector.open(tiny_bundle, threads=1) as detector:
        assert detector.provider == "CPUExecutionProvider"
    with pytest.raises(ProviderError, match="its library is gone"):
        monkeypatch.setenv("FLOWTELL_PROVIDER", "openvino")
        Detector.open(tiny_bundle, threads=1)


def test_auto_without_another_provider_is_the_cpu_and_runs_no_probe(motion_bundle, own_cache):
    code = (
        "import sys; sys.modules['openvino'] = None\nimport flowtell\n"
        "print(flowtell.Detector.open(sys.argv[1], provider='auto').provider)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(motion_bundle)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "CPUExecutionProvider\n"
    assert not own_cache.exists()
