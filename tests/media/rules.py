"""What must hold for the result of every hostile file."""

from __future__ import annotations

from itertools import zip_longest

import numpy as np
from media.corpus import Hostile

from flowtell import DecodeError, Result
from flowtell._frame import Frame
from flowtell._frames import open_frames


def broken_rules(hostile: Hostile, result: Result) -> list[str]:
    """Return what is wrong with a file's result, one sentence each."""
    wrong = []
    if result.state not in hostile.states:
        wrong.append(f"its state is {result.state} ({result.reason}), not one of {sorted(hostile.states)}")
    if (result.reason is None) != (result.state == "ok"):
        wrong.append(f"{result.state} with the reason {result.reason}")
    if result.reason and not (result.reason.isprintable() and len(result.reason) < 1200):
        wrong.append("its reason is no sentence for a terminal")
    has_verdict = result.verdict != "undecided"
    if has_verdict and not hostile.verdict:
        wrong.append(f"it got the verdict {result.verdict}")
    if has_verdict != (result.fake_probability is not None):
        wrong.append(f"the verdict {result.verdict} beside the probability {result.fake_probability}")
    if has_verdict and result.state not in ("ok", "truncated"):
        wrong.append(f"a verdict in the state {result.state}")
    if hostile.original is not None:
        wrong += _not_a_beginning(hostile, result)
    return wrong


def _not_a_beginning(hostile: Hostile, result: Result) -> list[str]:
    """Return where a file that is the beginning of another shows what that one does not, or hides the cut."""
    got, _ = frames_and_error(hostile)
    assert hostile.original is not None
    with open_frames(hostile.original) as source:
        whole = list(source)
    wrong = []
    for number, (frame, original) in enumerate(zip_longest(got, whole[: len(got)])):
        if original is None or not np.array_equal(frame.image, original.image):
            wrong.append(f"frame {number} of {len(got)} is not the one of the whole file")
            break
    if result.state == "ok" and len(got) < len(whole):
        wrong.append(f"it reads as complete with {len(got)} of {len(whole)} frames")
    return wrong


def frames_and_error(hostile: Hostile) -> tuple[list[Frame], DecodeError | None]:
    """Return what can be read of a file, and why not more."""
    frames: list[Frame] = []
    try:
        with open_frames(hostile.path) as source:
            frames.extend(source)
    except DecodeError as error:
        return frames, error
    return frames, None
