"""Labelled videos and who is in them."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["LabelledVideo", "identity_folds", "identity_groups", "read_labels"]

# How three public data sets name the people in a file. Celeb-DF numbers each person's takes in four digits,
# DFD says after two underscores what happens; whatever a re-encoding appended as one letter is passed over.
_NAME_LAYOUTS = (
    re.compile(r"(?P<a>\d{3})(_(?P<b>\d{3}))?"),  # FaceForensics++: 183, or 183_253 for 183 driven by 253
    re.compile(r"(?P<a>id\d+)(_(?P<b>id\d+))?_\d{4}(_[a-z])?"),  # Celeb-DF: id26_0006, id26_id25_0006
    re.compile(r"(?P<a>\d{2})(_(?P<b>\d{2}))?__\w+"),  # DFD: 01__kitchen_pan, 01_02__kitchen_pan__XYZ
)


@dataclass(frozen=True)
class LabelledVideo:
    """One video and what is known of it.

    Attributes:
        path: of the file.
        label: 1 for fake, 0 for real.
        identities: the people whose face or motion is in it; a swap has two.
        method: how it was made, or where it came from.
    """

    path: Path
    label: int
    identities: frozenset[str]
    method: str


def read_labels(path):
    """Read a CSV of labelled videos.

    Columns: `path` (relative to the CSV), `label` (`real`, `fake`), and maybe `method` and `identity`: names
    separated by `;`. Without it they are read from file names laid out as in FaceForensics++, DFD, Celeb-DF.

    Returns:
        list of `LabelledVideo`, in the order of the file.

    Raises:
        FileNotFoundError: if the CSV or a video is not there.
        ValueError: for a missing column, an unknown label, or a file without identity.
    """
    path = Path(path)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"path", "label"} <= rows[0].keys():
        raise ValueError(f"{path.name} needs a header with the columns path and label, and at least one row")
    return [_video(path, number, row) for number, row in enumerate(rows, start=2)]


def _video(csv_path, line, row):
    where = f"{csv_path.name}, line {line}"
    video = csv_path.parent / row["path"]
    if not video.is_file():
        raise FileNotFoundError(f"{where}: there is no file {row['path']}")
    if row["label"] not in ("real", "fake"):
        raise ValueError(f"{where}: label is {row['label']!r}; it must be 'real' or 'fake'")
    named = row.get("identity") or ""
    identities = [name.strip() for name in named.split(";") if name.strip()] or _people_in_name(video.stem)
    if not identities:
        raise ValueError(f"{where}: cannot tell who is in {video.name}; add a column identity")
    return LabelledVideo(
        video, int(row["label"] == "fake"), frozenset(identities), row.get("method") or row["label"]
    )


def _people_in_name(stem):
    matches = [m for layout in _NAME_LAYOUTS if (m := layout.fullmatch(stem))]
    return [person for person in matches[0].group("a", "b") if person] if matches else []


def identity_folds(videos, count):
    """Split videos into folds that share no person.

    Videos with a person in common, directly or through others, stay together. Such groups, largest first, go
    to the fold with the fewest videos so far, of equals the one with the fewest real ones.

    Args:
        videos: list of `LabelledVideo`.
        count: number of folds, at least 2.

    Returns:
        list with the fold (0 to count - 1) of each video.

    Raises:
        ValueError: if there are fewer groups of people than folds.
    """
    groups = _connected(videos)
    if len(groups) < count:
        raise ValueError(
            f"{count} folds need as many groups of people who share no video; there are {len(groups)}"
        )
    folds = [None] * len(videos)
    totals = [[0, 0] for _ in range(count)]
    for members in sorted(groups, key=lambda g: (-len(g), g)):
        real = sum(videos[i].label == 0 for i in members)
        fold = min(range(count), key=lambda f: (sum(totals[f]), totals[f][0]))
        totals[fold][0] += real
        totals[fold][1] += len(members) - real
        for i in members:
            folds[i] = fold
    return folds


def identity_groups(videos):
    """Return, for each video, the number of its group of people: groups share nobody, even through others."""
    numbers = [None] * len(videos)
    for number, members in enumerate(_connected(videos)):
        for index in members:
            numbers[index] = number
    return numbers


def _connected(videos):
    groups = []
    for index, video in enumerate(videos):
        touching = [g for g in groups if g[0] & video.identities]
        people, members = set(video.identities), [index]
        for group in touching:
            people |= group[0]
            members += group[1]
            groups.remove(group)
        groups.append((people, members))
    return [sorted(members) for _, members in groups]
