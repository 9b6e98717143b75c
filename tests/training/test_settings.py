"""Settings from TOML: what is known is typed, what is not known is an error."""

import pytest

from flowtell import InputError
from flowtell.training.settings import PRESETS, read_settings, settings_from


def write(tmp_path, text):
    (tmp_path / "run.toml").write_text(text)
    return tmp_path / "run.toml"


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path):
    path = write(tmp_path, "head_units = [64]\n[fit]\nsteps = 5\nlearning_rate = 1\n[lstm]\nunits = 8\n")
    preset = PRESETS["cnn_lstm"]["default"]
    got = read_settings(path, preset)
    assert (got.head_units, got.fit.steps, got.fit.learning_rate, got.lstm.units) == ((64,), 5, 1.0, 8)
    assert got.fit.batch_size == preset.fit.batch_size
    assert got.encoding == preset.encoding


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stepz = 3", r"run\.toml: there is no setting 'stepz'; there are balance, .*encoding, .*fit"),
        ("[fit]\nepochs = 3", r"run\.toml, \[fit\]: there is no setting 'epochs'; there are batch_size"),
        ("[fit]\nsteps = 'many'", r"run\.toml, \[fit\]: 'steps' must be of type int, not 'many'"),
        ("[fit]\nsteps = true", r"'steps' must be of type int, not True"),
        ("[fit]\nsteps = 0", r"steps must be at least 1, not 0"),
        ("[fit]\nkeep = 'best'", r"keep must be one of validation, training_loss, last, not 'best'"),
        ("fit = 3", r"'fit' is a table: write \[fit\]"),
        ("head_units = 512", r"'head_units' must be a list of whole numbers, not 512"),
        ("trained = 'all'", r"trained must be one of head, block5, not 'all'"),
        ("a = = 1", r"is no TOML"),
    ],
)
def test_what_is_wrong_is_named(text, message, tmp_path):
    with pytest.raises(InputError, match=message):
        read_settings(write(tmp_path, text), PRESETS["classifier"]["default"])


def test_no_file_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_settings(tmp_path / "none.toml", PRESETS["flow"]["default"])


def test_none_may_be_overridden_by_its_type_only():
    preset = PRESETS["classifier"]["default"]
    assert settings_from({"fit": {"patience": 2}}, preset, "x").fit.patience == 2
    with pytest.raises(InputError, match="'patience' must be of type int"):
        settings_from({"fit": {"patience": 2.5}}, preset, "x")


def test_the_original_recipe_is_the_notebooks():
    recipe = PRESETS["classifier"]["original"]
    assert (recipe.fit.batch_size, recipe.fit.steps, recipe.fit.epoch_steps) == (256, 2880, 960)
    assert (recipe.validation_steps, recipe.fit.learning_rate, recipe.fit.keep) == (
        140,
        1e-4,
        "training_loss",
    )
    assert (recipe.encoding, recipe.preprocessing, recipe.input_size) == ("colour_wheel", "raw_rgb", 120)
    assert (recipe.head_units, recipe.trained, recipe.mirror, recipe.balance) == (
        (4096, 4096),
        "block5",
        False,
        False,
    )
