"""Pictures to paint synthetic motion with: the packaged ones, and key frames of videos."""

import wave

import pytest

from flowtell import InputError, samples
from flowtell.training.textures import PACKAGED_PICTURES, load_textures


def test_the_samples_picture_is_never_trained_on():
    assert not any("astronaut" in name for name in PACKAGED_PICTURES)
    assert len(load_textures()) == len(PACKAGED_PICTURES)


def test_key_frames_of_videos_are_painted_with():
    painted = load_textures([samples.natural_path()], frames_per_video=2)[len(PACKAGED_PICTURES) :]
    assert 1 <= len(painted) <= 2
    assert all(picture.shape == (480, 480, 3) for picture in painted)


def test_a_video_without_pictures_is_named_in_the_error(tmp_path):
    renamed, sound = tmp_path / "text.mp4", tmp_path / "sound.wav"
    renamed.write_text("no video\n" * 99)
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(1600))
    for path, says in (
        (renamed, "cannot be read"),
        (tmp_path / "gone.mp4", "cannot be read"),
        (sound, "has no pictures"),
    ):
        with pytest.raises(InputError, match=rf"{path.name}' {says}.*leave it out"):
            load_textures([path])
