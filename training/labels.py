"""Labelled videos and who is in them."""

import csv
import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from flowtell import InputError
from flowtell._decode import VIDEO_SUFFIXES

__all__ = [
    "LabelledVideo",
    "identity_folds",
    "identity_groups",
    "label_folders",
    "read_labels",
]

# How three public data sets name the people in a file. Celeb-DF numbers each person's takes in four digits,
# DFD says after two underscores what happens; whatever a re-encoding appended as one letter is passed over.
_NAME_LAYOUTS = (
    re.compile(r"(?P<a>\d{3})(_(?P<b>\d{3}))?"),  # FaceForensics++: 183, or 183_253 for 183 driven by 253
    re.compile(r"(?P<a>id\d+)(_(?P<b>id\d+))?_\d{4}(_[a-z])?"),  # Celeb-DF: id26_0006, id26_id25_0006
    re.compile(r"(?P<a>\d{2})(_(?P<b>\d{2}))?__\w+"),  # DFD: 01__kitchen_pan, 01_02__kitchen_pan__XYZ
)
# FaceForensics++ names its compressions so, in folders and lists. Other folders are called raw, too.
_COMPRESSION = re.compile(r"(?<![A-Za-z0-9])(c0|c23|c40|raw)(?![A-Za-z0-9])")
_COMPRESSION_IN_PATH = re.compile(r"(?<![A-Za-z0-9])(c0|c23|c40|raw(?=/videos(/|$)))(?![A-Za-z0-9])")


@dataclass(frozen=True)
class LabelledVideo:
    """One video and what is known of it.

    Attributes:
        path: of the file.
        label: 1 for fake, 0 for real.
        identities: the people whose face or motion is in it; a swap has two.
        method: how it was made, or where it came from.
        compression: how strongly it was compressed, as its data set names it; empty where nobody said.
    """

    path: Path
    label: int
    identities: frozenset[str]
    method: str
    compression: str = ""

    @property
    def people(self):
        """Who is in it, however their names are written: Ann and ann are rather one person than two."""
        return frozenset(name.casefold() for name in self.identities)


def read_labels(path):
    """Read a CSV of labelled videos.

    Columns: `path` (relative to the CSV), `label` (`real`, `fake`), and maybe `method`, `compression` (else
    it is looked for in a column `dataset`, c0, c23, c40 or raw, and in the path, there `raw/videos`) and
    `identity`: names separated by `;`. Without it they are read from file names laid out as in
    FaceForensics++, DFD, Celeb-DF.

    Returns:
        list of `LabelledVideo`, in the order of the file.

    Raises:
        InputError: the CSV or a video is not there, or for a missing column, an unknown label, a video that
            is listed twice, or one without identity.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            # a row may have several lines, and the one that it ends in is what an editor shows last
            rows = [(reader.line_num, row) for row in reader]
    except OSError as error:
        raise InputError(f"the labels '{path}' cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"'{path}' is no CSV in UTF-8; save it as such") from error
    if not rows or not {"path", "label"} <= rows[0][1].keys():
        raise InputError(f"{path.name} needs a header with the columns path and label, and at least one row")
    videos = [(line, _video(path, line, row)) for line, row in rows]
    seen = {}
    for line, video in videos:
        file = video.path.resolve()
        if file in seen:
            raise InputError(f"{path.name}, line {line}: {video.path.name} stands in line {seen[file]}, too")
        seen[file] = line
    return [video for _, video in videos]


def label_folders(folder, each_its_own_person=False):
    """Label the videos of a folder by where they lie: below a folder `real`, or below a folder `fake`.

    A folder between `fake` and the file names the method: `fake/Deepfakes/183_253.mp4`.

    Args:
        folder: searched with all folders in it.
        each_its_own_person: take each file for a person of its own, where its name names nobody.

    Returns:
        list of `LabelledVideo`, sorted by path.

    Raises:
        InputError: there is no video, one lies in neither folder, is there twice by a link or has a name that
            is not in UTF-8, a folder cannot be looked into, or nobody can tell who is in a video.
    """
    folder = Path(folder)
    paths = sorted(p for p in _files_below(folder) if p.suffix.lower() in VIDEO_SUFFIXES)
    if not paths:
        raise InputError(f"there is no video in '{folder}': give a CSV, or one with real and fake")
    videos, seen = [], {}
    for path in paths:
        _require_utf8(path.relative_to(folder))
        file = path.resolve()
        if file in seen:
            raise InputError(f"'{seen[file]}' and '{path}' are one file, linked twice: leave one out")
        seen[file] = path
        between = path.relative_to(folder).parts[:-1]
        labels = [part for part in between if part in ("real", "fake")]
        if len(labels) != 1:
            raise InputError(
                f"'{path.relative_to(folder)}' lies in none of the folders real and fake, or in both: move "
                "it, or give a CSV"
            )
        below = between[between.index(labels[0]) + 1 :]
        people = _people_in_name(path.stem) or ([_one_spelling(path.stem)] if each_its_own_person else [])
        if not people:
            raise InputError(
                f"cannot tell who is in '{path.relative_to(folder)}': give a CSV with a column identity, or "
                "say --each-its-own-person"
            )
        method = "/".join(below) or labels[0]
        compression = _compression_in("", "/".join(between))
        videos.append(LabelledVideo(path, int(labels[0] == "fake"), frozenset(people), method, compression))
    return videos


def _files_below(folder, above=frozenset()):
    """Yield the files in a folder and in those in it, behind links, too; links back to a folder above end."""
    place = os.path.realpath(folder)
    if place in above:
        return
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"the folder '{folder}' cannot be looked into: {error.strerror}") from error
    for entry in entries:
        if entry.is_dir():
            yield from _files_below(entry, above | {place})
        elif entry.is_file():
            yield entry


def _require_utf8(path):
    """Refuse a name that is no text: it could be stored in no record."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(path).decode(errors="backslashreplace")
        raise InputError(f"the name '{shown}' is not in UTF-8: rename the file") from error


def _video(csv_path, line, row):
    where = f"{csv_path.name}, line {line}"
    video = csv_path.parent / (row["path"] or "")
    if not video.is_file():
        raise InputError(f"{where}: there is no file {row['path']}")
    if row["label"] not in ("real", "fake"):
        raise InputError(f"{where}: label is {row['label']!r}; it must be 'real' or 'fake'")
    named = row.get("identity") or ""
    people = [_one_spelling(name.strip()) for name in named.split(";") if name.strip()]
    identities = people or _people_in_name(video.stem)
    if not identities:
        raise InputError(f"{where}: cannot tell who is in {video.name}; add a column identity")
    compression = row.get("compression") or _compression_in(row.get("dataset") or "", row["path"])
    label = int(row["label"] == "fake")
    return LabelledVideo(video, label, frozenset(identities), row.get("method") or row["label"], compression)


def _one_spelling(name):
    """Return a name with its accents composed: two spellings of the same letters are no two people."""
    return unicodedata.normalize("NFC", name)


def _compression_in(dataset, path):
    found = _COMPRESSION.search(dataset.replace("_", " ")) or _COMPRESSION_IN_PATH.search(
        path.replace("_", " ")
    )
    return found[1] if found else ""


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
        InputError: if there are fewer groups of people than folds.
    """
    groups = _connected(videos)
    if len(groups) < count:
        raise InputError(
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
        people, members = set(video.people), [index]
        touching = [g for g in groups if g[0] & people]
        for group in touching:
            people |= group[0]
            members += group[1]
            groups.remove(group)
        groups.append((people, members))
    return [sorted(members) for _, members in groups]
