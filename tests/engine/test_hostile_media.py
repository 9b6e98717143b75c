"""A part of the hostile corpus of `tests/media`, judged: `python tests/media/judge.py` judges all of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from media.corpus import Hostile, make_corpus
from media.kills import compare
from media.rules import broken_rules, frames_and_error

from flowtell import Detector

QUICK = ("impostor", "playlist", "place")
SAMPLED = ("cut", "flipped", "mutated", "lying")
EVERY = 12
FOUND = Path(__file__).resolve().parents[1] / "media" / "found"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("media") / "corpus", {*QUICK, *SAMPLED})


@pytest.fixture(scope="module")
def detector(tiny_bundle):
    with Detector.open(tiny_bundle) as opened:
        yield opened


def test_what_is_no_video_gets_no_verdict(corpus, detector):
    files = [hostile for hostile in corpus if hostile.family in QUICK]
    assert len(files) > 60
    assert not [rule for hostile in files for rule in broken_rules(hostile, detector.detect(hostile.path))]


def test_what_is_damaged_gets_a_state_and_no_frame_that_was_never_filmed(corpus, detector):
    files = [hostile for hostile in corpus if hostile.family in SAMPLED][::EVERY]
    assert {hostile.family for hostile in files} == set(SAMPLED)
    assert not [rule for hostile in files for rule in broken_rules(hostile, detector.detect(hostile.path))]


def test_a_file_that_lacks_its_last_bytes_says_so(corpus):
    """The containers that say where they end."""
    for ending in (".mp4", ".mov", ".mkv", ".webm", ".ts", ".flv", ".asf", ".avi"):
        original = next(hostile.original for hostile in corpus if hostile.path.suffix == ending)
        cut = original.with_name(f"cut{ending}")
        cut.write_bytes(original.read_bytes()[:-16])
        frames, error = frames_and_error(Hostile("cut", cut, frozenset(), True))
        assert error.state == "truncated"
        assert len(frames) > 20


@pytest.mark.parametrize("path", sorted(FOUND.iterdir()), ids=lambda path: path.name)
def test_what_the_fuzzer_found_stays_fixed(path):
    """Each of these once broke the decoder; they are mutations of the bundled sample."""
    frames, error = frames_and_error(Hostile("found", path, frozenset(), True))
    assert frames or error
    assert "broke down" not in str(error)


def test_the_corpus_is_the_same_each_time(corpus, tmp_path):
    again = make_corpus(tmp_path / "corpus", {"flipped", "lying"})
    first = [hostile for hostile in corpus if hostile.family in {"flipped", "lying"}]
    for one, other in zip(first, again, strict=True):
        assert one.path.name == other.path.name
        assert one.path.read_bytes() == other.path.read_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists the children of a process")
def test_decoders_killed_at_random_cost_their_own_files_only(corpus, detector):
    videos = sorted({hostile.original for hostile in corpus if hostile.original})
    reported = 0
    for seed in range(5):
        report = compare(detector, videos, kills=5, seed=seed)
        assert not report.unlike
        assert report.reported <= report.kills
        reported += report.reported
        # a kill may hit a decoder between two files, and then nothing is lost
        if reported:
            break
    assert reported
