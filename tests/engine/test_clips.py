"""Frames become face clips: pushed one at a time, a real face filmed on a canvas."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from tolerances import TOLERANCES

from flowtell import Bundle
from flowtell._clips import MAX_TRACKS
from flowtell._clock import StageClock
from flowtell._frame import RgbFrame
from flowtell._pipeline import open_face_graphs

FPS = 25


@pytest.fixture(scope="module")
def graphs(motion_bundle):
    return open_face_graphs(Bundle.open(motion_bundle))


@pytest.fixture
def maker(graphs):
    return graphs.clip_maker(StageClock())


@pytest.fixture(scope="module")
def head(portrait):
    """The head alone, `uint8 [160, 160, 3]`, its face about 115 px."""
    return np.ascontiguousarray(portrait[80:400:2, 80:400:2])


def scene(*heads, width=640, height=240, grey=110):
    """A grey canvas with heads at (x, y), each cut off where the canvas ends."""
    canvas = np.full((height, width, 3), grey, np.uint8)
    for picture, x, y in heads:
        size_y, size_x = picture.shape[:2]
        left, right, top, bottom = max(x, 0), min(x + size_x, width), max(y, 0), min(y + size_y, height)
        if left < right and top < bottom:
            canvas[top:bottom, left:right] = picture[top - y : bottom - y, left - x : right - x]
    return canvas


def film(maker, images, *, times=None):
    """Push every image and finish; return the clips."""
    clips = []
    for index, image in enumerate(images):
        clips += maker.push(RgbFrame(image, times[index] if times else index / FPS))
    return clips + maker.finish()


def spans(clips):
    """Return (track, first frame, last frame) of each clip."""
    return [(clip.track, round(clip.start_s * FPS), round(clip.end_s * FPS)) for clip in clips]


def drift(index):
    """Where a head sits that trembles and never stays still."""
    return 40 + index % 3, 40 + (index // 2) % 2


def test_clips_follow_each_other_and_share_a_frame(maker, head):
    clips = film(maker, [scene((head, *drift(i))) for i in range(40)])
    assert spans(clips) == [(0, 0, 16), (0, 16, 32), (0, 32, 39)]
    assert [clip.frames.shape for clip in clips] == [(17, 64, 64, 3)] * 2 + [(8, 64, 64, 3)]
    assert maker.pairs == 39
    assert maker.frames == 40


def test_a_last_clip_of_fewer_than_4_pairs_is_dropped_but_counted(maker, head):
    clips = film(maker, [scene((head, *drift(i))) for i in range(20)])
    assert spans(clips) == [(0, 0, 16)]
    assert maker.pairs == 19


def test_one_box_serves_the_whole_clip(maker, graphs, head):
    """A head that moves moves within its crop; the crop is what crop.onnx cuts from that one box."""
    images = [scene((head, 40 + i, 40)) for i in range(17)]
    (clip,) = film(maker, images)
    for image, crop in zip(images, clip.frames, strict=True):
        wanted = graphs.crop.run(("crop",), frame=image, box=np.array(clip.box))[0]
        assert np.array_equal(crop, wanted)


def test_the_next_clip_takes_the_face_where_it_is_then(maker, head):
    first, second = film(maker, [scene((head, 40 + i, 40)) for i in range(33)])
    moved_px = second.box[0] - first.box[0]
    assert moved_px == pytest.approx(16, abs=TOLERANCES["face_shift_px"].value)


def test_exact_duplicates_are_skipped_and_times_stay_true(maker, head):
    images = [scene((head, *drift(i // 3))) for i in range(51)]
    (clip,) = film(maker, images)
    assert maker.frames == 17
    assert (clip.start_s, clip.end_s) == (0, 48 / FPS)


@pytest.mark.parametrize("row", [0, 120, 239])
def test_one_pixel_that_changes_makes_another_frame(maker, head, row):
    still = scene((head, 40, 40))
    images = [still.copy() for _ in range(12)]
    for index, image in enumerate(images):
        image[row, 600] = index
    film(maker, images)
    assert maker.frames == 12


def test_a_still_picture_has_no_clip(maker, head):
    assert film(maker, [scene((head, 40, 40))] * 60) == []
    assert (maker.frames, maker.pairs) == (1, 0)


def test_a_face_that_leaves_its_box_ends_the_clip_at_the_last_good_frame(maker, head):
    """It runs 4 px a frame. The box, 144 px wide, leaves 27 px at the right of the face, 90 px wide.

    A seventh of the face may stick out: 27 + 0.15 * 90 = 40 px, which is frame 10.
    """
    images = [scene((head, 40 + 4 * i, 40)) for i in range(17)]
    clips = film(maker, images)
    track, first, last = spans(clips)[0]
    assert (track, first) == (0, 0)
    assert last == pytest.approx(10, abs=TOLERANCES["clip_end_frames"].value)


def test_a_face_that_is_covered_ends_the_clip_and_comes_back_as_itself(maker, head):
    """Bars slide over the face and away again, so that nothing looks like a cut."""
    bar = np.tile(head[60:70, 20:30], (20, 12, 1))

    def image(i):
        down = 9 * min(i - 8, 32 - i)
        return scene((head, *drift(i)), *([(bar, 40, down - 120)] if down > 0 else []))

    clips = film(maker, [image(i) for i in range(60)])
    assert {clip.track for clip in clips} == {0}
    assert spans(clips)[0][2] < 24 < spans(clips)[1][1] <= 36


def test_a_face_away_for_longer_is_a_new_track(maker, head):
    images = [scene((head, *drift(i))) if i < 20 or i >= 60 else scene(grey=100 + i % 7) for i in range(90)]
    assert {clip.track for clip in film(maker, images)} == {0, 1}


def test_a_shot_cut_ends_the_clip_on_the_frame_before_it(maker, head):
    shot_a = [scene((head, *drift(i)), grey=90) for i in range(10)]
    shot_b = [scene((head[:, ::-1] // 3, *drift(i)), grey=220) for i in range(10)]
    clips = film(maker, shot_a + shot_b)
    assert spans(clips) == [(0, 0, 9), (1, 10, 19)]


def test_a_cut_seen_at_one_face_ends_every_track(maker, head):
    """The other face sits in the same place in both shots, so that its own crop hardly changes."""
    other = np.ascontiguousarray(head[:, ::-1] // 3)
    shot_a = [scene((head, *drift(i)), (head, 400 + drift(i)[0], 40)) for i in range(10)]
    shot_b = [scene((other, *drift(i)), (head, 400 + drift(i)[0], 40)) for i in range(10, 20)]
    clips = film(maker, shot_a + shot_b)
    assert sorted(spans(clips)) == [(0, 0, 9), (1, 0, 9), (2, 10, 19), (3, 10, 19)]
    assert maker.pairs == 4 * 9


def test_a_cut_ends_the_track_of_a_face_that_is_out_of_sight(maker, head):
    """A bar has slid over the second face when the cut comes; behind the cut it is there again at once."""
    bar = np.tile(head[60:70, 20:30], (20, 12, 1))
    other = np.ascontiguousarray(head[:, ::-1] // 3)

    def image(i):
        second = (head, 400 + drift(i)[0], 40)
        if i >= 26:
            return scene((other, *drift(i)), second)
        return scene((head, *drift(i)), second, (bar, 440, min(0, 9 * (i - 8) - 120)))

    clips = film(maker, [image(i) for i in range(40)])
    last_frames = {track: last for track, _, last in spans(clips)}
    assert min(last_frames[0], last_frames[1]) < 20
    assert max(last_frames[0], last_frames[1]) == 25
    assert [span for span in spans(clips) if span[2] > 25] == [(2, 26, 39), (3, 26, 39)]


def test_two_faces_are_two_tracks_with_clips_of_their_own(maker, head):
    images = [scene((head, *drift(i)), (head, 400 + drift(i + 1)[0], 40)) for i in range(33)]
    clips = film(maker, images)
    assert sorted(spans(clips)) == [(0, 0, 16), (0, 16, 32), (1, 0, 16), (1, 16, 32)]
    by_track = {clip.track: clip.box[0] for clip in clips}
    assert abs(by_track[0] - by_track[1]) > 300


def test_a_second_face_that_comes_in_later_is_met_at_the_next_look(maker, head):
    def image(i):
        second = [(head, 400 + drift(i)[0], 40)] if i >= 10 else []
        return scene((head, *drift(i)), *second)

    clips = film(maker, [image(i) for i in range(33)])
    assert sorted(spans(clips)) == [(0, 0, 16), (0, 16, 32), (1, 16, 32)]


@pytest.mark.parametrize("step_px", [4, 5])
def test_two_faces_that_pass_each_other_stay_themselves(maker, head, step_px):
    """The one that goes left covers the other for a while around frame 72, for less than a second."""

    def image(i):
        run_px = step_px * (i - 72)
        return scene((head, 500 + run_px, 10), (head, 500 - run_px, 70), width=1160)

    clips = film(maker, [image(i) for i in range(140)])
    boxes = {track: [clip.box[0] for clip in clips if clip.track == track] for track in (0, 1)}
    assert sum(map(len, boxes.values())) == len(clips)
    left, right = sorted(boxes.values(), key=lambda lefts: -lefts[0])
    assert left == sorted(left, reverse=True)
    assert right == sorted(right)
    for track in (0, 1):
        ends_s = [(clip.start_s, clip.end_s) for clip in clips if clip.track == track]
        assert sum(end_s < 60 / FPS for _, end_s in ends_s) >= 3
        assert sum(start_s > 80 / FPS for start_s, _ in ends_s) >= 3
        assert all(before[1] <= after[0] for before, after in pairwise(ends_s))


def test_small_faces_are_seen_but_not_followed(maker, head):
    images = [scene((np.ascontiguousarray(head[::3, ::3]), *drift(i))) for i in range(20)]
    assert film(maker, images) == []
    assert maker.found_faces == 0
    assert maker.small_faces > 0


def test_a_face_less_than_half_as_large_as_another_is_in_the_background(maker, portrait, head):
    small = [(head, 500 + drift(i)[0], 200) for i in range(17)]
    images = [scene((portrait, 0, 0), at, height=480, width=700) for at in small]
    images = [np.roll(image, i % 2, 0) for i, image in enumerate(images)]
    clips = film(maker, images)
    sizes = {clip.box[2]: clip.is_background for clip in clips}
    assert len(sizes) == 2
    assert [sizes[side] for side in sorted(sizes)] == [True, False]


def test_frames_that_change_size_end_the_clip(maker, head):
    small = [scene((head, *drift(i))) for i in range(10)]
    large = [scene((head, *drift(i)), width=700) for i in range(10)]
    assert spans(film(maker, small + large)) == [(0, 0, 9), (1, 10, 19)]


def test_what_is_held_does_not_grow(maker, head):
    """A thousand frames: the maker holds one frame and the clip that is growing."""
    shots = [scene((head, *drift(i))) for i in range(6)]
    clips = 0
    for index in range(1000):
        clips += len(maker.push(RgbFrame(shots[index % 6], index / FPS)))
        held = sum(len(track.clip.crops) for track in maker._tracks if track.clip)
        assert held <= 17
    assert clips == 62


def test_of_a_crowd_the_largest_faces_are_followed(maker, head):
    """Five rows of five heads, of which sixteen are larger than the rest."""
    small = np.ascontiguousarray(head[::1, ::1][20:140, 20:140])
    places = [(x, y) for y in range(5) for x in range(5)]

    def image(i):
        heads = [
            (head if index < MAX_TRACKS else small, 180 * x + i % 2, 180 * y)
            for index, (x, y) in enumerate(places)
        ]
        return scene(*heads, width=900, height=900)

    clips = film(maker, [image(i) for i in range(8)])
    assert len({clip.track for clip in clips}) == MAX_TRACKS
    assert maker.found_faces == 25


def test_the_same_frames_give_the_same_clips(graphs, head):
    images = [scene((head, *drift(i))) for i in range(20)]
    first, second = (film(graphs.clip_maker(StageClock()), images) for _ in range(2))
    assert spans(first) == spans(second)
    assert all(
        np.array_equal(a.frames, b.frames) and a.box == b.box for a, b in zip(first, second, strict=True)
    )


class CountedFrame(RgbFrame):
    """A frame that keeps the sizes of the parts that are copied out of it."""

    def __init__(self, image, time_s):
        super().__init__(image, time_s)
        self.copied = []

    def _cut(self, left, top, right, bottom):
        self.copied.append((right - left, bottom - top))
        return super()._cut(left, top, right, bottom)


def test_a_frame_gives_each_box_once_and_a_row_where_there_is_none(maker, head):
    def pushed(index, *heads):
        frame = CountedFrame(scene(*heads, grey=110 + index % 2), index / FPS)
        maker.push(frame)
        return frame.copied

    for index in range(4):
        two = pushed(index, (head, 40 + index, 40), (head, 400 - index, 40))
    assert len(two) == 2
    # their clips end at a look that finds nobody
    for index in range(4, 40):
        nobody = pushed(index)
    assert nobody == [(640, 1)]
