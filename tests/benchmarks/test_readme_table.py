"""The README's table says what the stored results say, of the default bundle as it is."""

import copy
import json

import pytest

import flowtell
from flowtell.benchmarks.readme_table import CARD, RESULTS, table_of, with_table


@pytest.fixture(scope="module")
def stored():
    contest = json.loads((RESULTS / "contenders.json").read_text())
    reports = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("offline-*.json"))]
    return contest, reports


def test_the_readme_is_not_stale(stored):
    readme = (CARD.parents[4] / "README.md").read_text()
    assert with_table(readme, table_of(*stored, CARD.read_text())) == readme


def test_the_results_are_of_the_bundle_that_is_there(stored):
    contest, reports = stored
    graph = flowtell.Bundle.open(flowtell.default_bundle_path()).manifest.graphs["detector"]["fp32"]
    assert {result["bundle"]["detector_sha256"] for result in [contest, *reports]} == {graph.sha256}
    assert reports


def test_every_contender_that_ran_is_in_it(stored):
    text = "\n".join(table_of(*stored, CARD.read_text()))
    for entry in stored[0]["contenders"]:
        assert (entry["name"] in text) == (entry["pairs_per_s"] is not None)


def test_results_of_two_machines_are_no_table(stored):
    contest, reports = copy.deepcopy(stored)
    reports[0]["machine"]["cpu"] = "another"
    with pytest.raises(ValueError, match="not of one processor"):
        table_of(contest, reports, CARD.read_text())


def test_the_speed_of_an_invalid_result_is_not_stated(stored):
    contest, reports = copy.deepcopy(stored)
    reports[0] |= {"pairs_per_s": 123.4, "valid": True, "reasons": []}
    assert "| 123.4 (" in "\n".join(table_of(contest, reports, CARD.read_text()))
    reports[0] |= {"valid": False, "reasons": ["the machine itself varied"]}
    table = "\n".join(table_of(contest, reports, CARD.read_text()))
    assert "123.4" not in table
    assert "INVALID: the machine itself varied | not stated" in table


def test_a_readme_without_marks_is_refused():
    with pytest.raises(ValueError, match="lacks its marks"):
        with_table("no marks", ["a line"])
