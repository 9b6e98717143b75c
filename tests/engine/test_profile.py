"""A profile is taken as it is, for the bundle that it was made for, or refused in one sentence."""

import json

import numpy as np
import pytest

import flowtell
from flowtell import InputError, Profile


@pytest.fixture
def write_profile(tmp_path, tiny_bundle):
    sha256 = flowtell.Bundle.open(tiny_bundle).sha256

    def write(**changes):
        settings = {
            "bundle_sha256": sha256,
            "provider": "cpu",
            "precision": "fp32",
            "threads": 1,
            "clips_per_call": 3,
        } | changes
        path = tmp_path / "profile.json"
        path.write_text(json.dumps({"schema": 1, "kind": "flowtell profile", "settings": settings}))
        return path

    return write


def test_a_detector_runs_as_its_profile_says(write_profile, tiny_bundle):
    with flowtell.Detector.open(tiny_bundle, profile=Profile.read(write_profile())) as detector:
        assert (detector.threads, detector.clips_per_call, detector.precision) == (1, 3, "fp32")
        assert detector.provider == "CPUExecutionProvider"


def test_scores_do_not_depend_on_it_on_the_cpu(write_profile, tiny_bundle):
    plain = flowtell.Detector.open(tiny_bundle, provider="cpu", threads=1)
    batched = flowtell.Detector.open(tiny_bundle, profile=Profile.read(write_profile()))
    clips = np.random.default_rng(0).integers(0, 256, (3, 5, 64, 64, 3), np.uint8)
    a, b = (detector.score_clips(clips).pair_logits for detector in (plain, batched))
    assert (a == b).all()


@pytest.mark.parametrize(
    "changes",
    [
        {"provider": "auto"},
        {"provider": "npu"},
        {"precision": "fp8"},
        {"threads": 0},
        {"threads": True},
        {"clips_per_call": 65},
        {"bundle_sha256": None},
    ],
)
def test_what_is_out_of_range_is_no_profile(write_profile, changes):
    with pytest.raises(InputError, match="is no profile: make one with flowtell bench tune"):
        Profile.read(write_profile(**changes))


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b" " * (1 << 21)])
def test_what_is_no_profile_is_refused(tmp_path, data):
    (tmp_path / "profile.json").write_bytes(data)
    with pytest.raises(InputError, match="is no profile"):
        Profile.read(tmp_path / "profile.json")


def test_what_names_no_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="named by a str or a path, not by 5"):
        Profile.read(5)
    with pytest.raises(InputError, match="cannot be read: embedded null"):
        Profile.read(tmp_path / "a\0b")


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(InputError, match="cannot be read: No such file"):
        Profile.read(tmp_path / "profile.json")


def test_a_profile_of_another_bundle_is_refused(write_profile, tiny_bundle):
    profile = Profile.read(write_profile(bundle_sha256="0" * 64))
    with pytest.raises(InputError, match="made for another bundle"):
        flowtell.Detector.open(tiny_bundle, profile=profile)


def test_settings_beside_a_profile_are_refused(write_profile, tiny_bundle):
    profile = Profile.read(write_profile())
    with pytest.raises(InputError, match="a profile sets provider, precision, threads"):
        flowtell.Detector.open(tiny_bundle, profile=profile, threads=2)
