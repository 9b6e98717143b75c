"""Labels, identities, folds and metrics."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from flowtell import InputError
from flowtell.training.labels import identity_folds, identity_groups, label_folders, read_labels
from flowtell.training.metrics import (
    auc,
    auc_interval,
    equal_error_rate,
    equal_error_threshold,
    expected_calibration_error,
    fit_temperature,
)


def write(tmp_path, *rows, header="path,label,method"):
    for row in rows:
        path = tmp_path / row.split(",")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "labels.csv").write_text("\n".join([header, *rows]) + "\n")
    return tmp_path / "labels.csv"


def test_identities_are_read_from_dataset_names(tmp_path):
    videos = read_labels(
        write(
            tmp_path,
            "183_253.mp4,fake,Deepfakes",
            "id26_id25_0006_c.mp4,fake,",
            "01__kitchen_pan.mp4,real,actors",
        )
    )
    assert [set(v.identities) for v in videos] == [{"183", "253"}, {"id26", "id25"}, {"01"}]
    assert [v.label for v in videos] == [1, 1, 0]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every name is text")
def test_a_name_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "real").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/real/caf\xe9.mp4")).touch()
    with pytest.raises(InputError, match=r"'real/caf\\xe9.mp4' is not in UTF-8: rename the file"):
        label_folders(tmp_path, True)


def test_named_identities_win(tmp_path):
    path = write(tmp_path, "a.mp4,real,ann; bob;", header="path,label,identity")
    assert read_labels(path)[0].identities == {"ann", "bob"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("183.mp4,reel,x", r"labels.csv, line 2: label is 'reel'; it must be 'real' or 'fake'"),
        ("holiday.mp4,real,x", "cannot tell who is in holiday.mp4; add a column identity"),
    ],
)
def test_bad_rows_are_named(tmp_path, row, message):
    path = write(tmp_path, row)
    with pytest.raises(ValueError, match=message):
        read_labels(path)


def test_missing_file_and_columns_are_named(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("path,label\n183.mp4,real\n")
    with pytest.raises(InputError, match=r"line 2: there is no file 183\.mp4"):
        read_labels(path)
    path.write_text("file,label\n")
    with pytest.raises(ValueError, match="columns path and label"):
        read_labels(path)


def test_no_person_is_in_two_folds(tmp_path):
    rows = [
        "183.mp4,real,",
        "253.mp4,real,",
        "183_253.mp4,fake,",
        "469.mp4,real,",
        "469_481.mp4,fake,",
        "585.mp4,real,",
    ]
    videos = read_labels(write(tmp_path, *rows))
    folds = identity_folds(videos, 3)
    assert sorted(set(folds)) == [0, 1, 2]
    for a, fold_a in zip(videos, folds, strict=True):
        for b, fold_b in zip(videos, folds, strict=True):
            assert fold_a == fold_b or not a.identities & b.identities
    with pytest.raises(ValueError, match="there are 3"):
        identity_folds(videos, 4)


def test_auc_counts_pairs_ranked_rightly():
    assert auc([0.1, 0.4, 0.4, 0.9], [0, 0, 1, 1]) == pytest.approx(3.5 / 4)
    with pytest.raises(ValueError, match="one real and one fake"):
        auc([1, 2], [1, 1])


def test_interval_covers_and_groups_widen_it():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 100)
    scores = rng.normal(labels, 1)
    low, high = auc_interval(scores, labels)
    assert low < auc(scores, labels) < high
    groups = np.arange(200) // 10
    grouped_scores = scores + rng.normal(0, 2, 20)[groups]
    wide = auc_interval(grouped_scores, labels, groups)
    narrow = auc_interval(grouped_scores, labels)
    assert wide[1] - wide[0] > narrow[1] - narrow[0]


def test_equal_error_rate_of_separable_and_random_scores():
    assert equal_error_rate([0, 1, 2, 3], [0, 0, 1, 1]) == 0
    assert equal_error_rate([0, 1, 2, 3], [1, 0, 1, 0]) == 0.5


@pytest.mark.parametrize(
    ("scores", "labels", "threshold"),
    [
        ([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], 0.5),
        ([0.1, 0.4, 0.6, 0.9], [0, 1, 0, 1], 0.5),
        ([0.3, 0.3, 0.7], [0, 1, 1], 0.5),
        ([0.5, 0.5], [0, 1], 0.5),
        ([0.5, np.nextafter(0.5, 1)], [0, 1], 0.5),
    ],
)
def test_the_threshold_of_equal_errors_lies_in_the_middle_between_two_scores(scores, labels, threshold):
    assert equal_error_threshold(scores, labels) == pytest.approx(threshold, abs=1e-15)


def test_temperature_recovers_the_scale():
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, 20_000)
    labels = (rng.random(20_000) < 1 / (1 + np.exp(-logits))).astype(int)
    assert fit_temperature(logits * 3, labels) == pytest.approx(3, rel=0.05)
    assert 2 * fit_temperature(logits * 1.5, labels, 2.0) == pytest.approx(3, rel=0.05)
    # what tells them apart without an error says nothing of errors, however often it is fitted
    apart = np.where(labels == 1, 1.0, -1.0)
    assert fit_temperature(apart, labels) == 1.0
    assert fit_temperature(apart / 3, labels, 3.0) == 1.0
    calibrated = 1 / (1 + np.exp(-logits))
    overconfident = 1 / (1 + np.exp(-3 * logits))
    assert (
        expected_calibration_error(calibrated, labels)
        < 0.02
        < expected_calibration_error(overconfident, labels)
    )


@pytest.mark.parametrize("name", ["clip_10", "IMG_042", "2023_12_05", "holiday"])
def test_ordinary_names_name_nobody(tmp_path, name):
    path = write(tmp_path, f"{name}.mp4,real,")
    with pytest.raises(ValueError, match="add a column identity"):
        read_labels(path)


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_folders_label_and_name_the_method(tmp_path):
    touch(tmp_path, "real/c23/183.mp4", "fake/Deepfakes/c40/183_253.mp4", "fake/notes.txt")
    fake, real = label_folders(tmp_path)
    assert (fake.label, fake.method, fake.compression) == (1, "Deepfakes/c40", "c40")
    assert (real.label, real.method, real.compression) == (0, "c23", "c23")
    assert fake.identities == {"183", "253"}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "there is no video in"),
        (["183.mp4"], r"'183\.mp4' lies in none of the folders real and fake"),
        (["real/fake/183.mp4"], "or in both: move it"),
        (["real/holiday.mp4"], r"cannot tell who is in 'real/holiday\.mp4'.* or say --each-its-own-person"),
    ],
)
def test_folders_that_do_not_tell_are_refused(names, message, tmp_path):
    touch(tmp_path, *names)
    with pytest.raises(InputError, match=message):
        label_folders(tmp_path)


def test_each_file_may_be_its_own_person(tmp_path):
    touch(tmp_path, "real/holiday.mp4", "fake/183_253.mp4")
    fake, real = label_folders(tmp_path, each_its_own_person=True)
    assert (set(real.identities), set(fake.identities)) == ({"holiday"}, {"183", "253"})


@pytest.mark.parametrize(
    ("row", "header", "compression"),
    [
        ("a/c40/183.mp4,real,", "path,label,method", "c40"),
        ("183.mp4,real,FaceForensics++ c23", "path,label,dataset", "c23"),
        ("c40/183.mp4,real,raw", "path,label,compression", "raw"),
        ("abc23x/183.mp4,real,", "path,label,method", ""),
        ("raw/videos/183.mp4,real,", "path,label,method", "raw"),
        ("my_raw/clips/183.mp4,real,", "path,label,method", ""),
        ("183.mp4,real,FaceForensics++ raw", "path,label,dataset", "raw"),
    ],
)
def test_compression_is_stated_or_found(row, header, compression, tmp_path):
    assert read_labels(write(tmp_path, row, header=header))[0].compression == compression


def test_videos_of_a_folder_are_told_by_every_ending_in_use(tmp_path):
    names = ["183.MP4", "184.m4v", "185.mpg", "186.ts", "187.wmv"]
    (tmp_path / "real").mkdir()
    for name in [*names, "188.txt", "189.json"]:
        (tmp_path / "real" / name).touch()
    assert [video.path.name for video in label_folders(tmp_path)] == names


def test_lines_are_those_of_the_file(tmp_path):
    """A field in quotes may go over several."""
    path = tmp_path / "labels.csv"
    (tmp_path / "183.mp4").touch()
    path.write_text('path,label,method\n\n183.mp4,real,"one\ntwo"\nnone.mp4,real,x\n')
    with pytest.raises(InputError, match=r"line 5: there is no file none\.mp4"):
        read_labels(path)


def test_a_video_listed_twice_is_named(tmp_path):
    path = write(tmp_path, "183.mp4,real,", "183.mp4,fake,")
    with pytest.raises(InputError, match=r"labels\.csv, line 3: 183\.mp4 stands in line 2, too"):
        read_labels(path)


def test_another_path_to_a_video_is_the_same_video(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.mp4").touch()
    (tmp_path / "link.mp4").symlink_to("a.mp4")
    for other in ("sub/../a.mp4", "link.mp4"):
        (tmp_path / "labels.csv").write_text(f"path,label,identity\na.mp4,real,ann\n{other},fake,bob\n")
        with pytest.raises(InputError, match="stands in line 2, too"):
            read_labels(tmp_path / "labels.csv")


def test_one_person_is_one_however_the_name_is_spelled(tmp_path):
    names = ["Jos\u00e9", "Jose\u0301", "JOS\u00c9", "Josef"]
    rows = [f"{k}.mp4,real,{name}" for k, name in enumerate(names)]
    for k in range(len(names)):
        (tmp_path / f"{k}.mp4").touch()
    (tmp_path / "labels.csv").write_text("\n".join(["path,label,identity", *rows]) + "\n", "utf-8")
    assert identity_groups(read_labels(tmp_path / "labels.csv")) == [0, 0, 0, 1]


def test_videos_behind_linked_folders_are_found_once(tmp_path):
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "videos"
    for path in (elsewhere / "183_253.mp4", folder / "real" / "183.mp4", folder / "fake" / "253_183.mp4"):
        path.parent.mkdir(parents=True)
        path.touch()
    (folder / "fake" / "Deepfakes").symlink_to(elsewhere)
    (elsewhere / "round").symlink_to(folder)
    found = {video.path.name: video.method for video in label_folders(folder)}
    assert found == {"183.mp4": "real", "253_183.mp4": "fake", "183_253.mp4": "Deepfakes"}
    (folder / "fake" / "originals").symlink_to(folder / "real")
    with pytest.raises(InputError, match=r"originals/183\.mp4' and '.*real/183\.mp4' are one file"):
        label_folders(folder)


def test_labels_that_cannot_be_read_are_one_sentence(tmp_path):
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_labels(tmp_path / "none.csv")
    (tmp_path / "picture.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InputError, match="no CSV in UTF-8"):
        read_labels(tmp_path / "picture.csv")
