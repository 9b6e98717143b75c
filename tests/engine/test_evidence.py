"""Files that show less than a bundle asks for get no verdict, and are told why."""

from __future__ import annotations

from flowtell import Detector, samples


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


def test_thin_evidence_of_a_file_that_breaks_off_is_said_beside_it(
    bundle_copy, rewrite_manifest, broken_sample
):
    rewrite_manifest(bundle_copy, lambda m: m.update(least_evidence={"pairs": 1000, "face_px": 0}))
    result = Detector.open(bundle_copy).detect(broken_sample)
    assert (result.state, result.verdict, result.fake_probability) == ("truncated", "undecided", None)
    assert "; the faces that decide are in view for" in result.reason
    assert "below 1000 this bundle abstains" in result.reason
    assert result.faces
