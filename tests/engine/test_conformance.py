"""Python's engine says about the frames of the conformance table what the table says."""

from __future__ import annotations

from typing import Any

import pytest
from conformance import judged_by_python, load_table, planned_cases
from tolerances import TOLERANCES

CASES = load_table()
LOGIT = TOLERANCES["other_processor_logit"].value


def test_the_table_is_the_one_that_is_planned() -> None:
    plans = [{key: value for key, value in case.items() if key != "expected"} for case in CASES]
    assert plans == planned_cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_table(case: dict[str, Any]) -> None:
    expected, found = case["expected"], judged_by_python(case)
    for key in ("state", "reason", "verdict", "stopped", "pairs_total"):
        assert found[key] == expected[key], key
    assert found["fake_probability"] == pytest.approx(expected["fake_probability"], abs=LOGIT)
    assert len(found["faces"]) == len(expected["faces"])
    for face, wanted in zip(found["faces"], expected["faces"], strict=True):
        assert (face["track"], face["decides"]) == (wanted["track"], wanted["decides"])
        for clip, wanted_clip in zip(face["clips"], wanted["clips"], strict=True):
            for key in ("start_s", "end_s", "box"):
                assert list(clip[key]) == wanted_clip[key] if key == "box" else clip[key] == wanted_clip[key]
            assert clip["logit"] == pytest.approx(wanted_clip["logit"], abs=LOGIT)
            assert clip["pair_logits"] == pytest.approx(wanted_clip["pair_logits"], abs=LOGIT)
    for crop, wanted in zip(found["crops"], expected["crops"], strict=True):
        assert (crop["track"], crop["is_background"]) == (wanted["track"], wanted["is_background"])
        assert crop["mean_levels"] == pytest.approx(
            wanted["mean_levels"], abs=TOLERANCES["crop_levels"].value
        )
        assert crop["mean_flow_px"] == pytest.approx(wanted["mean_flow_px"], abs=TOLERANCES["flow_px"].value)
