"""Given less to judge by: clips left out, and faces filmed from farther away."""

import cv2
import numpy as np

from flowtell.training.evidence import first_half, of_fewer_pairs, smaller_faces

MARGIN = 1.3


def test_fewer_clips_are_spread_over_the_video():
    features = np.arange(10, dtype=np.float32)[:, None]
    assert of_fewer_pairs(features, 2).ravel().tolist() == [0, 9]
    assert np.array_equal(of_fewer_pairs(features, 10), features)


def test_the_first_half_is_that_of_each_clip(made_set):
    whole = made_set.prepared.flow(0)
    half = first_half(made_set.prepared, 0)
    assert half.shape[:2] == (len(whole), whole.shape[1] // 2)
    assert np.array_equal(half, whole[:, : half.shape[1]])


def test_a_smaller_face_has_lost_what_is_finer_than_its_pixels(made_set):
    prepared = made_set.prepared
    side_px = prepared.crop_size // 4
    got = smaller_faces(side_px / MARGIN, MARGIN)(prepared, 0)
    assert got.shape[1] == prepared.pairs_per_clip // 2 + 1
    whole, seen = prepared.clips(0)[0, 0], got[0, 0]
    small = cv2.resize(whole, (side_px, side_px), interpolation=cv2.INTER_AREA)
    again = cv2.resize(seen, (side_px, side_px), interpolation=cv2.INTER_AREA)
    fine = [np.abs(np.diff(image.astype(int), axis=1)).mean() for image in (whole, seen)]
    assert fine[1] < 0.8 * fine[0]
    assert np.abs(again.astype(int) - small).mean() < 0.2 * np.abs(whole.astype(int) - seen).max()


def test_a_face_that_is_smaller_already_stays_as_it_is(made_set):
    prepared = made_set.prepared
    largest = max(clip["box"][2] for clip in prepared.entry(0)["clips"])
    half = prepared.pairs_per_clip // 2 + 1
    assert np.array_equal(smaller_faces(largest, MARGIN)(prepared, 0), prepared.clips(0)[:, :half])
