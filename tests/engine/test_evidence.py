"""Files that show less than a verdict needs: they break off, or have less than the bundle asks for."""

from __future__ import annotations

import pytest

from flowtell import Detector, samples


@pytest.fixture(scope="module")
def motion(motion_bundle):
    return Detector.open(motion_bundle)


@pytest.fixture(scope="module")
def sample_result(motion):
    return motion.detect(samples.natural_path())


def broken_sample(folder):
    """Write the natural sample with a hole in the middle of its pictures."""
    data = bytearray(samples.natural_path().read_bytes())
    start = data.index(b"mdat")
    middle = start + (len(data) - start) // 2
    data[middle : middle + 3000] = bytes(3000)
    path = folder / "broken.mp4"
    path.write_bytes(data)
    return path


def test_a_broken_file_is_judged_as_far_as_it_goes(motion, tmp_path, sample_result):
    result = motion.detect(broken_sample(tmp_path))
    assert result.state == "truncated"
    assert result.reason
    assert result.verdict != "undecided"
    whole = sample_result.faces[0].clips
    assert 0 < len(result.faces[0].clips) < len(whole)
    assert result.faces[0].clips[0] == whole[0]


def test_a_bundle_abstains_below_the_evidence_that_it_asks_for(bundle_copy, rewrite_manifest, sample_result):
    total = sample_result.pairs_total
    for pairs, face_px, what in ((total, 64, None), (total + 1, 0, "pairs"), (0, 1024, "px")):
        least = {"pairs": pairs, "face_px": face_px}
        rewrite_manifest(bundle_copy, lambda m, least=least: m.update(least_evidence=least))
        result = Detector.open(bundle_copy).detect(samples.natural_path(), max_clips=None)
        assert result.faces == sample_result.faces
        if what is None:
            assert (result.state, result.verdict) == ("ok", sample_result.verdict)
        else:
            assert (result.state, result.verdict) == ("thin_evidence", "undecided")
            assert result.fake_probability is None
            assert what in result.reason
            assert result.is_judged


def test_thin_evidence_of_a_file_that_breaks_off_is_said_beside_it(bundle_copy, rewrite_manifest, tmp_path):
    rewrite_manifest(bundle_copy, lambda m: m.update(least_evidence={"pairs": 1000, "face_px": 0}))
    result = Detector.open(bundle_copy).detect(broken_sample(tmp_path))
    assert (result.state, result.verdict, result.fake_probability) == ("truncated", "undecided", None)
    assert "; a face was followed for" in result.reason
    assert "below 1000 this bundle abstains" in result.reason
    assert result.faces
