"""`flowtell evaluate`: what it asks for before it judges, and what it leaves behind."""

import json
import shutil
import sys

import keras
import pytest

from flowtell import InputError, default_bundle_path
from flowtell.__main__ import main
from flowtell.training.evaluation import keras_scorer
from flowtell.training.models import ClassifierConfig, JoinSettings, TrainedModels
from flowtell.training.models.model_folder import PAPERS, read_models, write_models
from flowtell.training.run_folder import write_json

SIDE_PX = 64


def write_model(folder, crop_size, temperature=1.0):
    """Write a model folder with fresh weights, which is judged by like any other."""
    keras.utils.set_random_seed(1)
    classifier = ClassifierConfig(input_size=32, head_units=(), width=16, blocks=4)
    models = TrainedModels.build("tiny", classifier, JoinSettings("uv", crop_size, temperature))
    facts = {"thresholds": [{"fake_probability": 0.5, "operating_point": "none"}]}
    write_models(folder, models, facts, dict.fromkeys(PAPERS, "For tests.\n"))
    return folder


def turn_round(folder):
    """Have a model rank videos the other way round."""
    models, facts = read_models(folder)
    for variable in models.classifier.trainable_variables[-2:]:
        variable.assign(-variable)
    write_models(folder, models, facts, dict.fromkeys(PAPERS, "For tests.\n"))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("fresh") / "model", SIDE_PX)


def error_of(arguments, capsys):
    """Return the one line that wrong usage ends with."""
    assert main(["evaluate", *map(str, arguments)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_matplotlib_is_asked_for_before_anything_is_judged(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    arguments = [tmp_path, "--data", tmp_path, "--out", tmp_path / "out"]
    assert "pictures need matplotlib" in error_of(arguments, capsys)
    assert "holds no finished prepared set" in error_of([*arguments, "--no-plots"], capsys)
    # a flow network's figures come without pictures
    arguments = [tmp_path, "--flow-pairs", tmp_path, "--out", tmp_path / "out"]
    assert "there is no flow network" in error_of(arguments, capsys)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a folder that root cannot write to")
def test_a_folder_that_nothing_can_be_written_to_is_refused_before_judging(tmp_path, capsys):
    error = error_of([tmp_path, "--data", tmp_path, "--out", "/proc/self"], capsys)
    assert "nothing can be written to the folder '/proc/self': " in error


def test_the_report_is_there_whatever_becomes_of_the_pictures(model, made_set, tmp_path, capsys):
    (tmp_path / "roc.png" / "in the way").mkdir(parents=True)
    arguments = [model, "--data", made_set.prepared.folder, "--out", tmp_path]
    assert f"the pictures cannot be written to '{tmp_path}': " in error_of(arguments, capsys)
    assert json.loads((tmp_path / "evaluation.json").read_text("utf-8"))["file"]["count"] == 12


def test_crops_of_another_size_are_refused(made_set, tmp_path, capsys):
    data = made_set.prepared.folder
    larger = write_model(tmp_path / "model", 2 * SIDE_PX)
    for folder, side_px in ((larger, 2 * SIDE_PX), (default_bundle_path(), 256)):
        error = error_of([folder, "--data", data, "--out", tmp_path / "out", "--no-plots"], capsys)
        assert f"the crops in '{data}' are of 64 px and this model's are of {side_px} px: prepare" in error
    with pytest.raises(InputError, match=r"must be \[N, T \+ 1, 128, 128, 3\], not \[2, 5, 64, 64, 3\]"):
        keras_scorer(read_models(larger)[0])(made_set.prepared.clips(0))


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ([], "--calibrate fits to one part of a split: say which, as with --part validation"),
        (["--part", "test"], "would fit to the part test, on which the model is to be measured: take --part"),
    ],
)
def test_the_part_that_is_measured_on_is_not_calibrated_on(part, message, tmp_path, capsys):
    arguments = [tmp_path, "--data", tmp_path, "--split", tmp_path / "split.json", "--out", tmp_path]
    assert message in error_of([*arguments, "--calibrate", *part], capsys)


def test_a_report_says_that_it_was_calibrated_on_what_it_judged(made_set, tmp_path, capsys):
    folder = write_model(tmp_path / "model", SIDE_PX, temperature=2.0)
    arguments = [folder, "--data", made_set.prepared.folder, "--out", tmp_path, "--no-plots"]
    assert main(["evaluate", *map(str, arguments)]) == 0
    if json.loads((tmp_path / "evaluation.json").read_text("utf-8"))["file"]["auc"]["value"] < 0.5:
        # what ranks videos the wrong way round is not calibrated
        turn_round(folder)
    capsys.readouterr()
    stated = []
    for option, said in ([], False), (["--calibrate"], True):
        assert main(["evaluate", *map(str, arguments), *option]) == 0
        report = json.loads((tmp_path / "evaluation.json").read_text("utf-8"))
        printed = capsys.readouterr().out
        assert ("calibrated" in report) == said
        assert ("calibrated on what it judged (all of the set)" in printed) == said
        stated.append(report["manifest"])
        assert f"temperature that would calibrate it: {stated[-1]['temperature']:.3f}\n" in printed
    models, facts = read_models(folder)
    # what the first report asked for is what the second wrote, whatever the model divided by before
    assert stated == 2 * [{"temperature": models.settings.temperature, "thresholds": facts["thresholds"]}]


def test_one_group_of_people_has_no_interval(model, made_set, tmp_path, capsys):
    shutil.copytree(made_set.prepared.folder, tmp_path / "set")
    index = made_set.prepared.index
    videos = [video | {"identities": ["one"]} for video in index["videos"]]
    write_json(tmp_path / "set" / "index.json", index | {"videos": videos})
    assert main(["evaluate", str(model), "--data", str(tmp_path / "set"), "--out", str(tmp_path)]) == 0
    report = json.loads((tmp_path / "evaluation.json").read_text("utf-8"))
    assert [report[level]["auc"]["interval"] for level in ("pair", "clip", "file")] == [None] * 3
    assert "intervals: not known: one group of people\n" in capsys.readouterr().out
    assert (tmp_path / "roc.png").is_file()


def test_what_is_wrong_with_a_split_or_an_index_is_said_once(model, made_set, tmp_path, capsys):
    data, split = made_set.prepared.folder, tmp_path / "split.json"
    write_json(split, {"prepared_sha256": "0" * 64, "parts": {}})
    arguments = ["--split", split, "--out", tmp_path, "--no-plots"]
    said = f"flowtell: '{split}' splits another prepared set than '{data}'"
    assert error_of([model, "--data", data, *arguments], capsys) == said
    write_json(split, {"prepared_sha256": made_set.prepared.sha256(), "parts": {}})
    said = f"flowtell: '{split}' is no split that flowtell train wrote: KeyError('test')"
    assert error_of([model, "--data", data, *arguments], capsys) == said
    index = tmp_path / "index.json"
    write_json(index, made_set.prepared.index | {"format": 2})
    said = f"flowtell: '{index}' has format 2; prepare the videos again"
    assert error_of([model, "--data", tmp_path, *arguments], capsys) == said
