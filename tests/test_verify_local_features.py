import numpy as np
import pytest

from overlens.verify.local_features import DETECTION_PX, MAX_FEATURES, find_features, match_features
from pictures import make_detailed, resize


def test_features_are_bounded_whole_and_always_the_same() -> None:
    picture = make_detailed(1)
    first, second = find_features(picture), find_features(picture)
    assert 50 < len(first) <= MAX_FEATURES
    assert np.array_equal(first.points, second.points)
    assert np.array_equal(first.descriptions, second.descriptions)
    assert np.array_equal(first.descriptions, np.round(first.descriptions))
    assert first.descriptions.min() >= 0 and first.descriptions.max() <= 255


def test_places_are_in_pixels_of_the_picture() -> None:
    small, large = make_detailed(2, 256, 192), resize(make_detailed(2, 256, 192), 512, 384)
    plain, _ = match_features(find_features(small), find_features(large))
    misses = np.hypot(*((plain.left + 0.5) * 2 - 0.5 - plain.right).T)
    assert np.median(misses) < 0.75


def test_a_mirrored_picture_answers_by_its_mirrored_description() -> None:
    picture = make_detailed(3)
    plain, mirrored = match_features(find_features(picture), find_features(np.ascontiguousarray(picture[:, ::-1])))
    misses = np.hypot(*(np.array([319, 0]) + mirrored.left * [-1, 1] - mirrored.right).T)
    assert mirrored.is_mirrored and not plain.is_mirrored
    assert (misses < 2).sum() > 100
    assert (misses < 2).mean() > 0.9
    assert len(plain) < len(mirrored) / 3


def test_products_of_descriptions_are_exact_in_float32() -> None:
    rows = find_features(make_detailed(4)).descriptions
    assert np.array_equal(rows @ rows.T, (rows.astype(np.float64) @ rows.astype(np.float64).T).astype(np.float32))


@pytest.mark.parametrize("shape", [(1, 1), (2, 300), (40, 40)], ids=str)
def test_a_flat_or_tiny_picture_has_no_features_and_no_matches(shape: tuple[int, int]) -> None:
    flat = find_features(np.full(shape, 128, np.uint8))
    assert len(flat) == 0
    for matches in match_features(flat, find_features(make_detailed(5))):
        assert len(matches) == 0


def test_small_pictures_are_not_enlarged_beyond_measure() -> None:
    tiny = find_features(make_detailed(6, 24, 24))
    assert DETECTION_PX > 24 * 4
    assert (tiny.points >= -1).all() and (tiny.points <= 25).all()
