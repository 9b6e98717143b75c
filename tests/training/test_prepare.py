"""`flowtell prepare`, as a user runs it. The samples stand in for videos: nothing learns from them here."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import islice

import av
import numpy as np
import pytest
from processes import run_on_a_full_disk

from flowtell import InputError, samples
from flowtell.training._progress import item_line
from flowtell.training.labels import LabelledVideo, label_folders, read_labels
from flowtell.training.prepare import PrepareSettings, prepare
from flowtell.training.prepared_set import PreparedSet
from flowtell.training.run_folder import sweep

COMMAND = [sys.executable, "-m", "flowtell", "prepare"]


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Folder of three videos, one of them no video at all, with their CSV."""
    folder = tmp_path_factory.mktemp("videos")
    shutil.copy(samples.natural_path(), folder / "natural.mp4")
    shutil.copy(samples.swapped_path(), folder / "swapped.mp4")
    (folder / "broken.mp4").write_bytes(b"no video")
    rows = ["path,label,identity", "natural.mp4,real,ann", "broken.mp4,real,bob", "swapped.mp4,fake,ann;eve"]
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


def command(videos, out, bundle, *more):
    return [
        *COMMAND,
        str(videos / "labels.csv"),
        "--out",
        str(out),
        "--bundle",
        str(bundle),
        "--clips",
        "2",
        *more,
    ]


@pytest.fixture(scope="module")
def prepared(videos, tiny_bundle, tmp_path_factory):
    """Folder of a set with flow, and what the command printed."""
    out = tmp_path_factory.mktemp("prepared") / "set"
    done = subprocess.run(
        command(videos, out, tiny_bundle, "--flow", str(tiny_bundle)), capture_output=True, text=True
    )
    return out, done


def test_a_finished_set_of_other_videos_stays(videos, prepared, tiny_bundle, tmp_path):
    out, _ = prepared
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    settings = PrepareSettings(2)
    for name, sample in (("real", samples.natural_path()), ("fake", samples.swapped_path())):
        (tmp_path / name).mkdir()
        shutil.copy(sample, tmp_path / name / "other.mp4")
    with pytest.raises(InputError, match="holds a finished set of other videos: name another folder"):
        prepare(label_folders(tmp_path, True), out, tiny_bundle, settings=settings)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_finished_set_of_videos_of_the_same_names_stays(videos, prepared, tiny_bundle, tmp_path):
    out, _ = prepared
    for name in ("natural.mp4", "swapped.mp4", "broken.mp4", "labels.csv"):
        (tmp_path / name).write_bytes((videos / name).read_bytes() + (b"" if name == "labels.csv" else b"0"))
    with pytest.raises(InputError, match="holds a finished set of other videos: name another folder"):
        prepare(read_labels(tmp_path / "labels.csv"), out, tiny_bundle, settings=PrepareSettings(2))
    assert (out / "index.json").is_file()


def test_flow_that_is_there_is_not_left_out_unasked(videos, prepared, tiny_bundle, tmp_path):
    out = tmp_path / "set"
    shutil.copytree(prepared[0], out)
    with pytest.raises(InputError, match="holds flow, which this would leave out: ask for it with --flow"):
        prepare(read_labels(videos / "labels.csv"), out, tiny_bundle, settings=PrepareSettings(2))
    assert (out / "index.json").read_bytes() == (prepared[0] / "index.json").read_bytes()


def test_a_full_clip_is_found_behind_short_ones(write_video, tiny_bundle, tmp_path):
    with av.open(str(samples.natural_path())) as container:
        face = [frame.to_ndarray(format="rgb24") for frame in islice(container.decode(video=0), 30)]
    nobody = [np.zeros_like(face[0])] * 5
    rows = ["path,label,identity", "real.mp4,real,ann", "fake.mp4,fake,eve"]
    for name, pause in (("real.mp4", nobody), ("fake.mp4", nobody + nobody)):
        shutil.copy(write_video("video.mp4", [*face[:8], *pause, *face]), tmp_path / name)
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    videos = read_labels(tmp_path / "labels.csv")
    opened = prepare(videos, tmp_path / "set", tiny_bundle, settings=PrepareSettings(1))
    assert opened.clips(0).shape[:2] == (1, 17)
    assert opened.entry(0)["dropped"] == {"short": 1, "background": 0}
    assert opened.entry(0)["reason"] is None


def test_links_of_other_names_are_the_same_videos(videos, prepared, tiny_bundle, tmp_path):
    out = tmp_path / "set"
    shutil.copytree(prepared[0], out)
    rows = ["path,label,identity", "a.mp4,real,ann", "b.mp4,real,bob", "c.mp4,fake,ann;eve"]
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    for link, name in zip("abc", ("natural", "broken", "swapped"), strict=True):
        (tmp_path / f"{link}.mp4").symlink_to(videos / f"{name}.mp4")
    before = (out / "index.json").read_bytes()
    prepare(read_labels(tmp_path / "labels.csv"), out, tiny_bundle, tiny_bundle, PrepareSettings(2))
    assert (out / "index.json").read_bytes() == before


def test_clips_and_flow_are_stored_and_what_was_not_used_is_listed(prepared, tiny_bundle):
    out, done = prepared
    assert (done.returncode, done.stderr) == (1, "")
    assert "broken.mp4: left out: " in done.stdout
    assert done.stdout.splitlines()[-1].endswith("4 face clips of 2 of 3 videos, with flow")
    opened = PreparedSet.open(out)
    assert [v.label for v in opened.videos] == [0, 1]
    assert opened.videos[1].identities == {"ann", "eve"}
    clips, flow = opened.clips(1), opened.flow(1)
    assert (clips.shape, clips.dtype) == ((2, 17, 64, 64, 3), np.uint8)
    assert (flow.shape, flow.dtype) == ((2, 16, 16, 16, 2), np.float16)
    import flowtell

    assert (
        flowtell.Detector.open(tiny_bundle).score_clips(clips[1:]).flow[0].astype(np.float16) == flow[1]
    ).all()
    entry = opened.entry(1)
    assert entry["clips"][0].keys() == {"track", "start_s", "end_s", "box"}
    assert opened.index["videos"][1]["clips"] == []


def test_killed_and_started_again_the_index_is_the_same(videos, prepared, tiny_bundle, tmp_path):
    out = tmp_path / "set"
    arguments = command(videos, out, tiny_bundle, "--flow", str(tiny_bundle), "--workers", "1")
    process = subprocess.Popen(arguments, start_new_session=True)
    while not list(out.glob("clips/0*.json")):
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / "index.json").exists()
    first = next(out.glob("clips/0*.tfrecord"), None)
    stamp = first and first.stat().st_mtime_ns
    subprocess.run(arguments, check=False, capture_output=True)
    assert (out / "index.json").read_bytes() == (prepared[0] / "index.json").read_bytes()
    assert first is None or first.stat().st_mtime_ns == stamp, "a finished video was cut again"
    assert not list(out.rglob("writing-*"))


def test_a_shard_cut_short_is_told_and_made_again(prepared, videos, tiny_bundle, tmp_path):
    out = tmp_path / "set"
    shutil.copytree(prepared[0], out)
    shard = out / "clips" / "00002.tfrecord"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-9])
    with pytest.raises(InputError, match="cut short or corrupt: run flowtell prepare again"):
        PreparedSet.open(out).clips(1)
    subprocess.run(command(videos, out, tiny_bundle, "--flow", str(tiny_bundle)), capture_output=True)
    assert shard.read_bytes() == whole


def test_a_shard_of_another_video_is_refused(prepared, tmp_path):
    out = tmp_path / "set"
    shutil.copytree(prepared[0], out)
    first, second = (out / "clips" / f"{number:05d}.tfrecord" for number in (0, 2))
    second.write_bytes(first.read_bytes())
    mixed = PreparedSet.open(out)
    mixed.clips(0)
    with pytest.raises(InputError, match="is not the one of the index"):
        mixed.clips(1)


def test_a_set_that_lacks_a_class_is_not_finished_and_can_be_mended(videos, tiny_bundle, tmp_path):
    def prepared_from(*rows):
        labels = [LabelledVideo(videos / name, label, frozenset(), "m", "c") for name, label in rows]
        return prepare(labels, tmp_path / "set", tiny_bundle, settings=PrepareSettings(1, 1))

    with pytest.raises(InputError, match="all videos that gave a clip are real"):
        prepared_from(("natural.mp4", 0), ("broken.mp4", 1))
    assert not (tmp_path / "set" / "index.json").exists()
    assert len(prepared_from(("natural.mp4", 0), ("swapped.mp4", 1)).videos) == 2


def test_a_video_that_timed_out_is_read_again_and_a_broken_one_is_not(
    prepared, videos, tiny_bundle, tmp_path
):
    out = tmp_path / "set"
    shutil.copytree(prepared[0], out)
    index = (out / "index.json").read_bytes()
    slow, broken = (out / "clips" / f"0000{number}.json" for number in (0, 1))
    record = json.loads(slow.read_text())
    assert (record["state"], json.loads(broken.read_text())["state"]) == (None, "undecodable")
    slow.write_text(
        json.dumps({**record, "clips": [], "reason": "late", "state": "timed_out", "shard": None})
    )
    stamp = broken.stat().st_mtime_ns
    subprocess.run(command(videos, out, tiny_bundle, "--flow", str(tiny_bundle)), capture_output=True)
    assert json.loads(slow.read_text()) == record
    assert (out / "index.json").read_bytes() == index
    assert broken.stat().st_mtime_ns == stamp


# Whoever opens this video in a worker dies of it.
DEADLY = """
import os
import sys

def die(event, arguments):
    if event == "open" and str(arguments[0]).endswith("broken.mp4"):
        os.kill(os.getpid(), 9)

if "flowtell.training._prepare_worker" in sys.orig_argv:
    sys.addaudithook(die)
"""


def test_a_video_that_takes_its_process_down_takes_no_other_with_it(videos, tiny_bundle, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(DEADLY)
    out = tmp_path / "set"
    run = command(videos, out, tiny_bundle)
    deadly = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(run, capture_output=True, text=True, env=deadly)
    # 1: a video gave nothing, as without a death.
    assert done.returncode == 1, done.stderr
    cause = f"the process that worked on '{videos / 'broken.mp4'}' was ended by signal 9"
    assert f"broken.mp4: left out: {cause}" in done.stdout
    assert [v.path.name for v in PreparedSet.open(out).videos] == ["natural.mp4", "swapped.mp4"]
    # It may have been the machine's doing: another time it is read again.
    again = subprocess.run(run, capture_output=True, text=True)
    assert "signal" not in again.stdout
    assert "broken.mp4: left out" in again.stdout


def test_copies_of_a_video_that_are_said_to_be_something_else_are_refused(videos, tiny_bundle, tmp_path):
    for name in ("natural.mp4", "swapped.mp4"):
        shutil.copy(videos / name, tmp_path)
    shutil.copy(videos / "natural.mp4", tmp_path / "copy.mp4")
    rows = ["path,label,identity", "natural.mp4,real,ann", "swapped.mp4,fake,eve"]
    for label, person in (("fake", "ann"), ("real", "bob")):
        (tmp_path / "labels.csv").write_text("\n".join([*rows, f"copy.mp4,{label},{person}"]) + "\n")
        with pytest.raises(InputError, match=r"natural\.mp4' and '.*copy\.mp4' are the same video"):
            prepare(read_labels(tmp_path / "labels.csv"), tmp_path / "set", tiny_bundle)
    assert not (tmp_path / "set").exists()


def test_videos_from_elsewhere_change_no_other_ones(videos, prepared, tiny_bundle, tmp_path):
    out = tmp_path / "set"
    shutil.copytree(prepared[0], out)
    written = {path.name: path.stat().st_mtime_ns for path in (out / "clips").glob("*.tfrecord")}
    shutil.copy(videos / "natural.mp4", tmp_path / "more.mp4")
    more = LabelledVideo(tmp_path / "more.mp4", 0, frozenset(["ann"]), "real")
    labelled = [*read_labels(videos / "labels.csv"), more]
    grown = prepare(labelled, out, tiny_bundle, tiny_bundle, PrepareSettings(clips_per_file=2))
    # What an index says does not hang on when its videos came.
    names = [entry["video"] for entry in grown.index["videos"]]
    base = os.path.commonpath([videos, tmp_path])
    paths = [*(videos / f"{name}.mp4" for name in ("natural", "broken", "swapped")), tmp_path / "more.mp4"]
    assert names == [str(path.relative_to(base)) for path in paths]
    assert {name: (out / "clips" / name).stat().st_mtime_ns for name in written} == written


def test_a_full_disk_is_one_sentence_and_leaves_nothing_half(prepared, videos, tiny_bundle, tmp_path):
    out = tmp_path / "set"
    shutil.copytree(prepared[0], out)
    shutil.rmtree(out / "flow")
    # The flow of two clips takes 33 kB, the index 3 kB.
    done = run_on_a_full_disk(
        command(videos, out, tiny_bundle, "--flow", str(tiny_bundle)), largest_file_bytes=20_000
    )
    assert done.returncode == 2
    assert "cannot be written: " in done.stderr
    assert "run the same command again to go on" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [path.name for path in (out / "flow").iterdir()] == ["settings.json"]
    assert not (out / "index.json").exists()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            ["path,label", "natural.mp4,reel"],
            "labels.csv, line 2: label is 'reel'; it must be 'real' or 'fake'",
        ),
        (
            ["path,label,identity", "natural.mp4,real,a"],
            "all of these videos are real: training needs fake ones, too",
        ),
        (["path,label,identity", "none.mp4,real,a"], "labels.csv, line 2: there is no file none.mp4"),
    ],
)
def test_wrong_labels_are_wrong_usage(rows, message, tmp_path, capsys):
    from flowtell.__main__ import main

    shutil.copy(samples.natural_path(), tmp_path / "natural.mp4")
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    assert main(["prepare", str(tmp_path / "labels.csv"), "--out", str(tmp_path / "set")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


def test_an_empty_folder_is_wrong_usage(tmp_path, capsys):
    from flowtell.__main__ import main

    (tmp_path / "videos").mkdir()
    assert main(["prepare", str(tmp_path / "videos"), "--out", str(tmp_path / "set")]) == 2
    assert "there is no video in" in capsys.readouterr().err


def test_where_nothing_can_be_used_it_says_why(tmp_path, tiny_bundle):
    for name in ("real/101.mp4", "fake/Deepfakes/101_102.mp4"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(f"no video: {name}")
    with pytest.raises(InputError, match="none of the 2 videos gave a face clip"):
        prepare(label_folders(tmp_path), tmp_path / "set", tiny_bundle, settings=PrepareSettings(1, 1))


def test_clips_cut_otherwise_are_not_mixed(prepared, videos, tiny_bundle):
    from flowtell.training.labels import read_labels

    with pytest.raises(InputError, match=r"holds a run with other settings \(clips_per_file\)"):
        prepare(read_labels(videos / "labels.csv"), prepared[0], tiny_bundle, settings=PrepareSettings(1))
    assert json.loads((prepared[0] / "index.json").read_text())["format"] == 1


def test_only_what_killed_processes_left_is_swept(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / f"writing-{ended.pid}-a.npy").touch()
    (tmp_path / f"writing-{os.getpid()}-b.npy").touch()
    sweep(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [f"writing-{os.getpid()}-b.npy"]


def test_the_bar_says_how_long_it_takes():
    assert (
        item_line("set", 6, 24, 10.0, "cutting") == "set  [######------------------] 6/24  30 s left  cutting"
    )
    assert "left" not in item_line("set", 0, 24, 10.0)
