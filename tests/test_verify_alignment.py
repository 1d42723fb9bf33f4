import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from overlens.hashes.orientation import orient
from overlens.verify.alignment import (
    COARSE_PX,
    Frame,
    count_inliers,
    fine_side_px,
    fit_matches,
    invert,
    lay,
    likely_orientations,
    make_frame,
    make_thumb,
    refine,
    whole_transform,
)
from overlens.verify.local_features import find_features, match_features
from pictures import make_detailed, resize


def move(places: NDArray[np.float64], transform: NDArray[np.float64]) -> NDArray[np.float64]:
    moved = np.column_stack((places, np.ones(len(places)))) @ transform.T
    return moved[:, :2] / moved[:, 2:]


@pytest.mark.parametrize("code", range(8))
def test_the_whole_transform_undoes_an_orientation(code: int) -> None:
    picture = make_detailed(1, 200, 120)
    turned = np.ascontiguousarray(orient(picture, code))
    back = next(c for c in range(8) if np.array_equal(orient(turned, c), picture))
    laid = lay(Frame(picture, turned, whole_transform(picture.shape, turned.shape, back), is_swapped=False), 200)
    assert np.allclose(laid.base, laid.other)
    assert laid.share > 0.97


@pytest.mark.parametrize("code", range(8))
def test_the_orientation_is_seen_in_the_thumbs(code: int) -> None:
    picture = make_detailed(2)
    turned = np.ascontiguousarray(orient(picture, code))
    back = next(c for c in range(8) if np.array_equal(orient(turned, c), picture))
    assert likely_orientations(make_thumb(picture), make_thumb(turned))[0] == back


def test_thumbs_of_other_pictures_suggest_nothing_but_as_it_is() -> None:
    assert likely_orientations(make_thumb(make_detailed(3)), make_thumb(make_detailed(4)))[-1] == 0


@given(
    angle=st.floats(-180, 180),
    zoom=st.floats(0.7, 1.6),
    squash=st.floats(0.75, 1.35),
    mirrored=st.booleans(),
)
@settings(max_examples=12, deadline=None)
def test_a_known_transform_is_found_from_features(angle: float, zoom: float, squash: float, mirrored: bool) -> None:
    picture = make_detailed(5)
    height, width = picture.shape
    turn = np.vstack((cv2.getRotationMatrix2D((width / 2, height / 2), angle, zoom), (0, 0, 1)))
    wanted = np.diag((squash, 1.0, 1.0)) @ turn
    if mirrored:
        wanted = wanted @ np.array([[-1.0, 0, width - 1], [0, 1, 0], [0, 0, 1]])
    wanted[:2, 2] += 60
    other = cv2.warpPerspective(picture, wanted, (560, 420))
    matches = match_features(find_features(picture), find_features(other))[int(mirrored)]
    found = fit_matches(matches, picture.shape, other.shape)
    assert found is not None
    places = np.array([[80.0, 60], [240, 60], [240, 180], [80, 180], [160, 120]])
    inside = ((move(places, wanted) > 0) & (move(places, wanted) < (560, 420))).all(axis=1)
    assert inside.any()
    assert np.hypot(*(move(places, found) - move(places, wanted))[inside].T).max() < 8
    assert count_inliers(matches, found, other.shape) >= 5


def test_unlike_pictures_have_no_transform_or_few_inliers() -> None:
    left, right = make_detailed(6), make_detailed(7)
    for matches in match_features(find_features(left), find_features(right)):
        found = fit_matches(matches, left.shape, right.shape)
        assert found is None or count_inliers(matches, found, right.shape) < 12


def test_a_small_shift_is_refined_away() -> None:
    picture = make_detailed(8, 320, 320)
    left, right = picture[:300, :300], picture[8:308, 5:305]
    frame = make_frame(left, right, whole_transform(left.shape, right.shape, 0))
    moved = refine(frame, lay(frame, COARSE_PX), by_homography=False, n_steps=50)
    assert moved is not None
    found = move(np.array([[150.0, 150.0]]), moved.left_to_right)[0]
    assert np.allclose(found, (145, 142), atol=1.0)


def test_pictures_without_anything_in_common_are_left_where_they_are() -> None:
    flat = np.full((100, 100), 7, np.uint8)
    frame = make_frame(flat, flat, np.eye(3))
    assert refine(frame, lay(frame, COARSE_PX), by_homography=True, n_steps=10) is None


def test_the_frame_is_that_of_the_picture_that_shows_less() -> None:
    whole = make_detailed(9)
    part = np.ascontiguousarray(whole[60:180, 80:240])
    shift = np.array([[1.0, 0, -80], [0, 1, -60], [0, 0, 1]])
    frame = make_frame(whole, resize(part, 320, 240), np.diag((2.0, 2.0, 1)) @ shift)
    assert frame.is_swapped and frame.base.shape == (240, 320)
    assert np.allclose(frame.left_to_right @ invert(frame.left_to_right), np.eye(3))
    assert make_frame(part, whole, invert(shift)).is_swapped is False


def test_what_only_one_picture_shows_is_not_covered() -> None:
    picture = make_detailed(10, 200, 200)
    shifted = lay(Frame(picture, picture, np.array([[1.0, 0, 100], [0, 1, 0], [0, 0, 1]]), is_swapped=False), 100)
    assert 0.45 < shifted.share < 0.52
    away = lay(Frame(picture, picture, np.array([[1.0, 0, 900], [0, 1, 0], [0, 0, 1]]), is_swapped=False), 100)
    assert not away.is_enough


def test_pictures_are_judged_at_the_size_that_the_smaller_one_shows() -> None:
    sides = [fine_side_px(make_detailed(1, side, side), make_detailed(1, 500, 400)) for side in (20, 60, 100, 400)]
    assert sides == [64, 90, 150, 160]
