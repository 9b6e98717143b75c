"""Parts of pictures are the very pixels of the whole, in every layout, siting and turn."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace
from media.seeds import face_frames

from flowtell import DecodeError, _siting
from flowtell._colour import LAYOUTS, RgbConverter, new_image, plane_arrays
from flowtell._decode import VideoReader
from flowtell._frame import PlanarFrame, RgbFrame
from flowtell._frames import open_frames
from flowtell._planar_parts import PartConverter, part_of
from flowtell._planes import MATRICES, PixelKind, PlanarPicture, PlaneTaker, plane_shapes
from flowtell._siting import SITINGS, blank_picture, siting_of

SOME_MATRICES = [Colorspace.ITU709, Colorspace.ITU601, Colorspace.BT2020, 2]  # 2: unspecified
RANGES = [ColorRange.UNSPECIFIED, ColorRange.MPEG, ColorRange.JPEG]


def noise(layout, width, height, siting, seed=0):
    """A picture of noise as a decoder would give it."""
    picture = blank_picture(layout, width, height, siting)
    rng = np.random.default_rng(seed)
    for plane in plane_arrays(picture):
        plane[...] = rng.integers(0, 256, plane.shape, np.uint8)
    return picture


def taken_apart(picture, siting, orientation=0):
    kind = PixelKind(picture.format.name, picture.colorspace, picture.color_range, siting, orientation)
    return PlanarPicture(kind, plane_arrays(picture))


def colours(converter, picture, *place):
    """The colours of a part, which are those of a copy of it, too."""
    part = part_of(picture, *place)
    image = converter.colours(part)
    assert np.array_equal(image, converter.colours(part.copy()))
    return image


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("siting", SITINGS)
def test_parts_are_the_pixels_of_the_whole(layout, siting):
    rng = np.random.default_rng(len(layout) + SITINGS.index(siting))
    parts = PartConverter()
    for matrix, reach in itertools.product(SOME_MATRICES, RANGES):
        width, height = (2 * int(half) for half in rng.integers((1, 1), (400, 80)))
        picture = noise(layout, width, height, siting)
        picture.colorspace, picture.color_range = matrix, reach
        whole = RgbConverter(new_image).convert(picture)
        planar = taken_apart(picture, siting)
        assert np.array_equal(colours(parts, planar, 0, 0, width, height), whole)
        for _ in range(4):
            left, right = sorted(rng.choice(width + 1, 2, replace=False))
            top, bottom = sorted(rng.choice(height + 1, 2, replace=False))
            part = colours(parts, planar, left, top, right, bottom)
            assert part.flags.c_contiguous
            assert np.array_equal(part, whole[top:bottom, left:right]), (
                width,
                height,
                left,
                top,
                right,
                bottom,
            )


@pytest.mark.parametrize("orientation", range(8))
@pytest.mark.parametrize(("layout", "siting"), [("yuv420p", "left"), ("yuv420p", "top"), ("yuv422p", "left")])
def test_parts_of_turned_and_mirrored_pictures_are_upright(layout, siting, orientation):
    picture = noise(layout, 60, 34, siting)
    decoded = RgbConverter(new_image).convert(picture)
    upright = np.rot90(decoded[:, ::-1] if orientation > 3 else decoded, orientation)
    planar = taken_apart(picture, siting, orientation)
    assert planar.shape == upright.shape[:2]
    parts = PartConverter()
    for left, top, right, bottom in [(0, 0, *upright.shape[1::-1]), (3, 5, 20, 28), (30, 1, 34, 33)]:
        part = colours(parts, planar, left, top, right, bottom)
        assert part.flags.c_contiguous
        assert np.array_equal(part, upright[top:bottom, left:right])


@pytest.mark.parametrize("siting", SITINGS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("height", [16, 34])
def test_the_siting_that_is_found_gives_the_same_colours(layout, siting, height):
    picture = noise(layout, 48, height, siting)
    before = [plane.copy() for plane in plane_arrays(picture)]
    found = siting_of(picture)
    assert all(np.array_equal(plane, was) for plane, was in zip(plane_arrays(picture), before, strict=True))
    planar = taken_apart(picture, found)
    part = colours(PartConverter(), planar, 0, 0, 48, height)
    assert np.array_equal(part, RgbConverter(new_image).convert(picture))


def test_two_sitings_differ_where_chroma_is_coarse():
    found = {siting_of(noise("yuv420p", 48, 32, siting)) for siting in SITINGS}
    assert len(found) > 3
    assert "left" in found


@pytest.mark.parametrize(
    ("layout", "width", "height"),
    [("yuv420p", 47, 32), ("yuv420p", 48, 31), ("nv12", 48, 32), ("yuv420p10le", 48, 32), ("gray", 48, 32)],
)
def test_what_has_no_parts_is_left_whole(layout, width, height):
    assert PlaneTaker(0).take(av.VideoFrame(width, height, layout)) is None


def said(**changes):
    """What a picture says of itself that is taken apart, but for `changes`."""
    plane = SimpleNamespace(line_size=changes.pop("line_size", 48), width=48)
    words = {"format": SimpleNamespace(name="yuv420p"), "width": 48, "height": 32, "planes": [plane] * 3}
    return SimpleNamespace(**words | {"interlaced_frame": False, "colorspace": 1, "color_range": 1} | changes)


@pytest.mark.parametrize(
    "change", [{"line_size": -64}, {"interlaced_frame": True}, {"colorspace": 3}, {"color_range": 3}]
)
def test_pictures_whose_parts_are_not_those_of_the_whole_are_left_whole(change):
    taker = PlaneTaker(0)
    taker._sitings[("yuv420p", 1, 1)] = "left"
    assert taker.take(said(**change)) is None


def test_an_ffmpeg_without_the_filters_leaves_pictures_whole(monkeypatch):
    def no_filter(*_):
        raise ValueError("no filter setparams")

    monkeypatch.setattr(_siting, "blank_picture", no_filter)
    picture = noise("yuv420p", 48, 32, "left")
    assert PlaneTaker(0).take(picture) is None


def test_matrices_are_those_that_ffmpeg_converts_by():
    for matrix in range(32):
        picture = noise("yuv420p", 48, 32, "left")
        picture.colorspace = matrix
        try:
            RgbConverter(new_image).convert(picture)
        except av.error.FFmpegError:
            assert matrix not in MATRICES
            with pytest.raises(DecodeError, match="have no colours") as caught:
                PartConverter().colours(part_of(taken_apart(picture, "left"), 0, 0, 8, 8))
            assert caught.value.state == "undecodable"
        else:
            assert matrix in MATRICES


def test_what_converts_is_kept_for_two_frames_area_and_one_kind_of_picture():
    parts = PartConverter()
    large, small = (taken_apart(noise("yuv420p", *size, "left"), "left") for size in ((600, 400), (60, 40)))
    for right in range(50, 600, 10):
        colours(parts, large, 0, 0, right, 400)
        assert sum(height * width for height, width in parts._tools) <= 2 * 600 * 400
    colours(parts, large, 0, 0, 600, 400)
    assert (400, 600) in parts._tools
    for right in range(2, 60, 2):
        for bottom in range(2, 40, 2):
            colours(parts, small, 0, 0, right, bottom)
    assert len(parts._tools) <= 32
    assert max(parts._tools) <= (40, 60)


@pytest.fixture
def large_video(write_video):
    """A face in 1280x720, three of it side by side: large enough to be taken apart."""
    frames = [np.concatenate([frame] * 3, axis=1)[:, :1280] for frame in face_frames(40, 720)]
    return write_video("large.mp4", frames)


def test_frames_of_a_large_video_are_the_pixels_of_converting_each(large_video):
    with open_frames(large_video) as frames, av.open(str(large_video)) as container:
        for frame, picture in zip(frames, container.decode(video=0), strict=True):
            assert isinstance(frame, PlanarFrame)
            whole = RgbConverter(new_image).convert(picture)
            assert np.array_equal(frame.part(101, 50, 333, 283).image, whole[50:283, 101:333])
            assert np.array_equal(frame.image, whole)
            assert frame.image is frame.image
            assert np.array_equal(frame.part(101, 50, 333, 283).image, whole[50:283, 101:333])


def test_frames_that_change_size_and_layout_are_the_pixels_of_converting_each(write_video):
    rng = np.random.default_rng(1)
    kinds = [
        ((640, 1024), "yuv420p"),
        ((64, 96), "yuv420p"),
        ((640, 1024), "yuv444p"),
        ((700, 900), "yuv420p"),
    ]
    data = b""
    for number, (size, layout) in enumerate(kinds):
        frames = [rng.integers(0, 256, (*size, 3), np.uint8) for _ in range(2)]
        data += write_video(f"{number}.h264", frames, pix_fmt=layout).read_bytes()
    path = write_video("all.h264", frames)
    path.write_bytes(data)
    with open_frames(path) as reader:
        frames = list(reader)
    assert [type(frame) for frame in frames] == [PlanarFrame] * 2 + [RgbFrame] * 2 + [PlanarFrame] * 4
    with av.open(str(path)) as container:
        for frame, picture in zip(frames, container.decode(video=0), strict=True):
            assert np.array_equal(frame.image, RgbConverter(new_image).convert(picture))


def test_frames_outlive_their_reader(large_video):
    with VideoReader(large_video) as reader:
        frames = list(itertools.islice(reader, 30))
    with open_frames(large_video) as source:
        assert all(np.array_equal(a.image, b.image) for a, b in zip(frames, source, strict=False))


@pytest.mark.parametrize(("size", "kind"), [((400, 500), PlanarFrame), ((400, 498), RgbFrame)])
def test_a_small_video_s_colours_are_made_by_the_decoder(write_video, size, kind):
    path = write_video("still.mp4", [np.full((*size, 3), 90, np.uint8)])
    with VideoReader(path) as reader:
        assert isinstance(next(iter(reader)), kind)


def test_a_part_that_was_looked_at_is_kept_beside_others():
    frame = planar_frame(noise("yuv420p", 48, 32, "left"))
    first = frame.part(4, 6, 20, 30)
    assert frame.part(4, 6, 20, 30) is first
    other = frame.part(4, 6, 20, 28)
    assert np.array_equal(other.image, first.image[:22])
    assert frame.part(4, 6, 20, 30) is first
    assert frame.part(4, 6, 20, 28) is other


@pytest.mark.parametrize("looked_at", [(0, 0, 8, 8), (30, 10, 48, 32)])
def test_frames_differ_wherever_they_were_looked_at(looked_at):
    picture = noise("yuv420p", 48, 32, "left")
    before, same = planar_frame(picture), planar_frame(noise("yuv420p", 48, 32, "left"))
    before.part(*looked_at)
    changed = before.image.copy()
    changed[2, 3] ^= 1
    assert same.shows_the_same(before, looked_at)
    assert not RgbFrame(changed, 0.0).shows_the_same(before, looked_at)
    assert not before.shows_the_same(RgbFrame(changed, 0.0), looked_at)


def planar_frame(picture):
    return PlanarFrame(taken_apart(picture, "left"), 0.0, PartConverter())


def test_frames_are_the_same_by_their_pixels():
    picture = noise("yuv420p", 48, 32, "left")
    frame = planar_frame(picture)
    again = planar_frame(noise("yuv420p", 48, 32, "left"))
    assert frame.shows_the_same(again)
    assert frame._whole.made_image is None
    assert frame.shows_the_same(RgbFrame(frame.image, 0.0))
    corner = frame.image.copy()
    corner[0, 0, 0] ^= 1
    assert not RgbFrame(corner, 0.0).shows_the_same(frame)
    middle = frame.image.copy()
    middle[16, 3, 2] ^= 1
    assert not RgbFrame(middle, 0.0).shows_the_same(frame)
    elsewhere = noise("yuv420p", 48, 32, "left")
    plane_arrays(elsewhere)[0][2, 2] ^= 128
    assert not frame.shows_the_same(planar_frame(elsewhere))
    assert not frame.shows_the_same(planar_frame(noise("yuv420p", 48, 34, "left")))
    assert not frame.shows_the_same(planar_frame(noise("yuv420p", 50, 32, "left")))


def test_levels_that_are_cut_off_alike_show_the_same():
    frames = []
    for level in (0, 9):  # both are blacker than black, which is 16
        picture = noise("yuv420p", 48, 32, "left")
        luma, *chroma = plane_arrays(picture)
        luma[...] = level
        for plane in chroma:
            plane[...] = 128
        frames.append(planar_frame(picture))
    assert not frames[0].picture.is_the_same_as(frames[1].picture)
    assert frames[0].shows_the_same(frames[1])


def test_shapes_of_planes_are_ffmpegs():
    for layout in LAYOUTS:
        shapes = tuple(plane.shape for plane in plane_arrays(av.VideoFrame(48, 32, layout)))
        assert plane_shapes(layout, 32, 48) == shapes
