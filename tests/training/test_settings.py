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


@pytest.mark.parametrize(
    ("model", "text", "message"),
    [
        ("classifier", "pair_stride = 0", "pair_stride must be at least 1, not 0"),
        ("classifier", "width = 65", "width must be from 1 to 64, not 65"),
        ("classifier", "width = 0", "width must be from 1 to 64, not 0"),
        (
            "classifier",
            "input_size = 31",
            "input_size must be at least 32, which 5 blocks halve to 1, not 31",
        ),
        ("classifier", "blocks = 4\ninput_size = 15", "input_size must be at least 16, which 4 blocks"),
        ("classifier", "head_units = [8, 0]", r"head_units must each be at least 1, not \[8, 0\]"),
        ("classifier", "dropout = 1.0", r"dropout must be at least 0 and below 1, not 1\.0"),
        ("classifier", "dropout = nan", "dropout must be at least 0 and below 1, not nan"),
        ("classifier", "label_smoothing = -0.1", "label_smoothing must be at least 0 and below 1"),
        (
            "classifier",
            "encoding = 'hsv'",
            "one of colour_wheel, uv, uv_residual, not 'hsv'",
        ),
        ("classifier", "preprocessing = 'bgr'", "preprocessing must be one of imagenet, raw_rgb, not 'bgr'"),
        ("classifier", "validation_steps = 0", "validation_steps must be at least 1, not 0"),
        ("classifier", "[fit]\nstop_step = 0", "stop_step must be at least 1, not 0"),
        ("classifier", "[fit]\ncheckpoint_steps = 0", "checkpoint_steps must be at least 1, not 0"),
        ("classifier", "[fit]\npatience = 0", "patience must be at least 1, not 0"),
        ("classifier", "[fit]\nema_momentum = 1.0", "ema_momentum must be at least 0 and below 1"),
        ("classifier", "[fit]\nlearning_rate = nan", "learning_rate must be above 0 and finite, not nan"),
        ("classifier", "[fit]\nclip_norm = 0", "clip_norm must be above 0 and finite, not 0"),
        ("cnn_lstm", "dropout = 2", "dropout must be at least 0 and below 1, not 2"),
        ("cnn_lstm", "pair_loss_weight = -1", "pair_loss_weight must be at least 0, not -1"),
        ("cnn_lstm", "[lstm]\nunits = 0", "units must be at least 1, not 0"),
        ("cnn_lstm", "[lstm]\ndropout = 1", "dropout must be at least 0 and below 1, not 1"),
        ("flow", "validation_pairs = 0", "validation_pairs must be at least 1, not 0"),
        ("flow", "teacher_share = 1.5", r"teacher_share must be from 0 to 1, not 1\.5"),
        ("flow", "teacher_zoom = nan", "teacher_zoom must be at least 1"),
        ("flow", "[motion]\nsize_px = 0", "size_px must be a multiple of 64 .six halvings., not 0"),
        ("flow", "[motion]\nsize_px = -64", "size_px must be a multiple of 64 .six halvings., not -64"),
        ("flow", "[motion]\nmax_layers = -1", "max_layers must be at least 0, not -1"),
        ("flow", "[motion]\nstill_share = 2", "still_share must be from 0 to 1, not 2"),
        ("flow", "[fit]\npatience = 3", "with keep = 'last' no epoch is better .*: leave patience out"),
    ],
)
def test_what_is_out_of_range_is_named(model, text, message, tmp_path):
    with pytest.raises(InputError, match=message):
        read_settings(write(tmp_path, text), PRESETS[model]["default"])


def test_the_ends_of_each_range_are_in_it(tmp_path):
    text = "width = 64\ninput_size = 16\nblocks = 4\ndropout = 0\n[fit]\nema_momentum = 0\npatience = 1\n"
    got = read_settings(write(tmp_path, text), PRESETS["classifier"]["default"])
    assert (got.width, got.input_size, got.dropout, got.fit.patience) == (64, 16, 0.0, 1)
    text = "teacher_share = 1\n[motion]\nsize_px = 64\nmax_layers = 0\n"
    got = read_settings(write(tmp_path, text), PRESETS["flow"]["default"])
    assert (got.teacher_share, got.motion.size_px) == (1.0, 64)


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
