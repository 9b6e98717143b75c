"""`flowtell train`, as a user runs it."""

import json
import shutil
import sys

import h5py
import numpy as np
import pytest
from processes import run_on_a_full_disk

from flowtell.__main__ import main
from flowtell.export.model_folder import read_model_folder
from flowtell.training.models.model_folder import LEARNED_KEY, SPLIT_KEY
from flowtell.training.run_folder import write_json
from flowtell.training.splits import split_hashes, split_manifest, split_videos, video_keys

SETTINGS = """
encoding = "uv"
input_size = 64
head_units = [8]
width = 4
pair_stride = 1
[fit]
steps = 2
epoch_steps = 2
batch_size = 4
"""


@pytest.fixture
def command(made_set, tmp_path):
    """Arguments of `flowtell` that train a small classifier into `run`."""
    (tmp_path / "run.toml").write_text(SETTINGS)
    places = {"--data": made_set.prepared.folder, "--flow": made_set.network, "--out": tmp_path / "run"}
    options = [text for name, value in places.items() for text in (name, str(value))]
    return ["train", "classifier", "--settings", str(tmp_path / "run.toml"), "--no-plots", *options]


def test_the_next_step_that_it_prints_judges_people_it_was_not_trained_on(command, tmp_path, capsys):
    assert main(command) == 0
    printed = capsys.readouterr().out.splitlines()[-1]
    evaluate = printed.removeprefix("next: flowtell ").split("; ")[0].replace("QUALITY", str(tmp_path / "q"))
    assert main([*evaluate.split(), "--no-plots"]) == 0
    report = json.loads((tmp_path / "q" / "evaluation.json").read_text())
    parts = json.loads((tmp_path / "run" / "split.json").read_text())["parts"]
    assert report["part"] == "test"
    assert len(report["files"]) == len(parts["test"]) < len(parts["train"])


def flicker_is_real(clips):
    """Score clips the wrong way round."""
    pairs = -np.abs(np.diff(clips.astype(np.float32), axis=1)).mean((2, 3, 4))
    return pairs.mean(1), pairs


def test_a_card_counts_the_videos_that_were_learned_from(command, tmp_path):
    assert main(command) == 0
    learned = len(json.loads((tmp_path / "run" / "split.json").read_text())["parts"]["train"])
    card = (tmp_path / "run" / "model" / "MODEL_CARD.md").read_text()
    assert f"trained by flowtell on {learned} videos of a set of 12 (Keras" in card


def test_what_tells_nothing_apart_is_not_calibrated(command, made_set, tmp_path, capsys, monkeypatch):
    assert main(command) == 0
    monkeypatch.setattr("flowtell.training._cli_evaluate.keras_scorer", lambda _: flicker_is_real)
    model = tmp_path / "run" / "model"
    before = (model / "model.json").read_bytes()
    words = ["evaluate", str(model), "--data", str(made_set.prepared.folder), "--no-plots"]
    split = ["--split", str(tmp_path / "run" / "split.json"), "--part", "validation", "--calibrate"]
    assert main([*words, *split, "--out", str(tmp_path / "q")]) == 2
    assert "does not tell these fakes from these originals (AUC of files: 0." in capsys.readouterr().err
    assert (model / "model.json").read_bytes() == before


def test_runs_of_other_seeds_are_judged_by_the_same_people(command, made_set, tmp_path):
    drawn = [split_videos(made_set.prepared.videos, seed=seed)["test"] for seed in range(4)]
    other = next(seed for seed in range(4) if set(drawn[seed]) != set(drawn[0]))
    for seeds, wanted in ((["--seed", "1"], 0), (["--seed", "2", "--split-seed", str(other)], other)):
        run = tmp_path / f"run-{wanted}"
        assert main([*command, *seeds, "--out", str(run)]) == 0
        split = json.loads((run / "split.json").read_text())
        assert [entry["number"] for entry in split["parts"]["test"]] == drawn[wanted]
        assert split["how"] == {"by": "identity", "seed": wanted}


def test_a_model_is_not_judged_by_a_part_of_another_split(command, made_set, tmp_path, capsys):
    assert main(command) == 0
    model, other = tmp_path / "run" / "model", tmp_path / "other.json"
    parts = split_videos(made_set.prepared.videos, seed=1)
    write_json(other, split_manifest(made_set.prepared, parts, {"by": "identity", "seed": 1}))
    data = ["--data", str(made_set.prepared.folder), "--out", str(tmp_path / "q"), "--no-plots"]
    evaluate = ["evaluate", str(model), *data, "--split", str(other)]
    capsys.readouterr()
    assert main(evaluate) == 2
    said = f"'{model}' was trained on another split than '{other}': its part test may hold people that"
    assert said in capsys.readouterr().err
    facts, described = read_model_folder(model)[1], json.loads((model / "model.json").read_text())
    own = json.loads((tmp_path / "run" / "split.json").read_text())
    # laid out otherwise it is the same split
    learned = {LEARNED_KEY: video_keys(made_set.prepared, [e["number"] for e in own["parts"]["train"]])}
    assert described["facts"][SPLIT_KEY] == split_hashes(dict(sorted(own.items()))) | learned
    # of another set it is somebody else's split, and no matter
    elsewhere = described["facts"].pop(SPLIT_KEY) | {"prepared_sha256": "0" * 64}
    write_json(model / "model.json", described | {"facts": described["facts"] | {SPLIT_KEY: elsewhere}})
    assert main(evaluate) == 0
    # folders of before do not say what they were trained on; a manifest never does
    write_json(model / "model.json", described)
    assert read_model_folder(model)[1] == facts
    assert main(evaluate) == 0


def test_people_that_a_model_was_trained_on_are_said_to_be(command, made_set, tmp_path, capsys):
    """Also in a set that has grown since, in which they may be anybody's test."""
    assert main(command) == 0
    model, grown = tmp_path / "run" / "model", tmp_path / "set"
    shutil.copytree(made_set.prepared.folder, grown)
    write_json(grown / "index.json", made_set.prepared.index | {"more": "videos"})
    split = ["--split", str(tmp_path / "run" / "split.json"), "--part"]
    count = len(json.loads((tmp_path / "run" / "split.json").read_text())["parts"]["train"])
    for data, part, learned in (
        (grown, [], count),
        (made_set.prepared.folder, [*split, "test"], 0),
    ):
        words = [
            "evaluate",
            str(model),
            "--data",
            str(data),
            "--out",
            str(tmp_path / "q"),
            "--no-plots",
            *part,
        ]
        capsys.readouterr()
        assert main(words) == 0
        report = json.loads((tmp_path / "q" / "evaluation.json").read_text())
        said = (
            f"the model was trained on {learned} of these {len(report['files'])} videos: its figures are too"
        )
        assert (
            report.get("learned_from", "").startswith(said)
            == (said in capsys.readouterr().out)
            == bool(learned)
        )
        if learned:
            assert main([*words, "--calibrate"]) == 2
            assert f"would fit to {learned} videos that" in capsys.readouterr().err


def test_a_run_given_again_leaves_what_was_written_into_its_papers(command, tmp_path):
    assert main(command) == 0
    card = tmp_path / "run" / "model" / "MODEL_CARD.md"
    card.write_text("by hand\n")
    assert main(command) == 0
    assert card.read_text() == "by hand\n"
    card.unlink()
    assert main(command) == 0
    assert "trained by flowtell" in card.read_text()


def test_a_set_that_is_cropped_otherwise_than_the_engine_crops_is_said_to_be(
    command, made_set, tmp_path, capsys
):
    other, model = tmp_path / "set", tmp_path / "run" / "model"
    shutil.copytree(made_set.prepared.folder, other)
    index = made_set.prepared.index
    write_json(other / "index.json", index | {"settings": index["settings"] | {"faces": "haar"}})
    assert main([*command, "--data", str(other)]) == 0
    said = "figures of this set are not those of flowtell detect"
    assert said in capsys.readouterr().err
    assert said in (model / "MODEL_CARD.md").read_text()
    for data, there in ((other, True), (made_set.prepared.folder, False)):
        quality = ["--data", str(data), "--out", str(tmp_path / "q"), "--no-plots"]
        assert main(["evaluate", str(model), *quality]) == 0
        assert (said in capsys.readouterr().err) == there
    # as of a model that was trained on another set
    described = json.loads((model / "model.json").read_text())
    write_json(model / "model.json", described | {"facts": described["facts"] | {"crop_margin": 1.8}})
    assert main(["evaluate", str(model), *quality]) == 0
    assert "with a margin of 1.3, this model's of 4 and 1.8: figures" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "settings", "options", "message"),
    [
        (
            "cnn_lstm",
            "pair_stride = 2",
            [],
            "pair_stride = 2 shows an LSTM other steps than the detector will",
        ),
        ("classifier", "", ["--split-seed", "-1"], "--split-seed must be at least 0, not -1"),
        (
            "classifier",
            "",
            ["--fold", "1/3", "--split-seed", "1"],
            "--fold has the same people whatever",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(kind, settings, options, message, command, tmp_path, capsys):
    (tmp_path / "run.toml").write_text(settings)
    assert main(["train", kind, *command[2:], *options]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["text", "other.h5"])
def test_a_file_of_other_weights_is_wrong_usage(kind, command, tmp_path, capsys):
    path = tmp_path / kind
    if kind == "text":
        path.write_text("no weights")
    else:
        with h5py.File(path, "w") as file:
            file.create_group("dense")
    assert main([*command, "--imagenet", str(path)]) == 2
    error = capsys.readouterr().err
    assert f"'{path}' holds no VGG16 weights of width 4: give Keras's file of VGG16" in error
    assert len(error.splitlines()) == 1


def test_a_full_disk_under_the_features_is_said_to_be_one(command, tmp_path):
    # The features of a video's 8 pairs take 32,768 bytes: 4x4 places of 128 filters in float16.
    done = run_on_a_full_disk([sys.executable, "-m", "flowtell", *command], largest_file_bytes=30_000)
    assert done.returncode == 2
    assert f"the features in '{tmp_path / 'run' / 'features'}' cannot be written: " in done.stderr
    assert "make room and run the same command again to go on" in done.stderr
    assert "VGG16" not in done.stderr
    assert not list(tmp_path.glob("run/features/*.npy"))


def test_a_finished_run_is_not_renamed_without_a_word(command, tmp_path, capsys):
    assert main([*command, "--licence", "research only"]) == 0
    assert main(command) == 0
    capsys.readouterr()
    assert main([*command, "--licence", ""]) == 0
    capsys.readouterr()
    assert main([*command, "--licence", "anything"]) == 2
    model = tmp_path / "run" / "model"
    said = f"'{model}' was finished before and states the licence 'research only': change it in its"
    assert said in capsys.readouterr().err
    assert json.loads((model / "model.json").read_text())["facts"]["licence"] == "research only"


def test_a_model_that_does_not_say_what_it_learned_from_is_said_not_to(command, made_set, tmp_path, capsys):
    assert main(command) == 0
    model = tmp_path / "run" / "model"
    described = json.loads((model / "model.json").read_text())
    del described["facts"][SPLIT_KEY]
    write_json(model / "model.json", described)
    data = ["--data", str(made_set.prepared.folder), "--out", str(tmp_path / "q"), "--no-plots"]
    capsys.readouterr()
    assert main(["evaluate", str(model), *data]) == 0
    said = "the model does not say which videos it was trained on"
    assert said in capsys.readouterr().out
    assert json.loads((tmp_path / "q" / "evaluation.json").read_text())["learned_from"].startswith(said)


def test_who_is_in_a_video_is_said_by_a_csv(tmp_path, capsys):
    (tmp_path / "labels.csv").touch()
    words = ["prepare", str(tmp_path / "labels.csv"), "--out", str(tmp_path / "set"), "--each-its-own-person"]
    assert main(words) == 2
    assert "--each-its-own-person is of a folder" in capsys.readouterr().err
