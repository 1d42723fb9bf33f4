import cv2
import numpy as np
import pytest

from overlens.verify.agreement import Agreement, correlate_coarsely, measure_agreement
from overlens.verify.alignment import Laid
from pictures import make_detailed


def laid(base: np.ndarray, other: np.ndarray, covered: np.ndarray | None = None) -> Laid:
    whole = np.ones(base.shape, np.float32) if covered is None else covered
    return Laid(base.astype(np.float32), other.astype(np.float32), whole)


def test_a_picture_agrees_with_itself_and_with_a_paler_one() -> None:
    picture = make_detailed(1, 160, 120).astype(np.float32)
    for other in (picture, picture * 0.5 + 60):
        found = measure_agreement(laid(picture, other))
        assert min(found.coarse, found.fine, found.local) > 0.99
        assert found.agreeing_share == 1.0 and found.covered_share == 1.0


def test_other_pictures_do_not_agree() -> None:
    found = measure_agreement(laid(make_detailed(2, 160, 120), make_detailed(3, 160, 120)))
    assert max(found.coarse, found.fine) < 0.3
    assert found.agreeing_share < 0.2


def test_what_is_laid_over_a_part_leaves_the_rest_in_agreement() -> None:
    picture = make_detailed(4, 160, 120)
    spoiled = picture.copy()
    spoiled[40:80, 20:120] = make_detailed(5, 100, 40)
    found = measure_agreement(laid(picture, spoiled))
    assert found.local > 0.95
    assert 0.5 < found.agreeing_share < 0.85


def test_the_same_outline_in_another_hand_does_not_agree_in_detail() -> None:
    outline = cv2.GaussianBlur(make_detailed(6, 160, 120).astype(np.float32), (0, 0), 6) * 2
    left, right = (outline + make_detailed(seed, 160, 120) * 0.5 for seed in (7, 8))
    found = measure_agreement(laid(left, right))
    assert found.coarse > found.fine
    assert found.local < 0.8


def test_only_what_both_show_counts() -> None:
    picture, other = make_detailed(9, 160, 120), make_detailed(10, 160, 120)
    covered = np.zeros((120, 160), np.float32)
    covered[:, :80] = 1
    mixed = np.where(covered > 0, picture, other)
    found = measure_agreement(laid(picture, mixed, covered))
    assert min(found.coarse, found.fine, found.local) > 0.98
    assert found.covered_share == 0.5


@pytest.mark.parametrize("value", [0, 128, 255])
def test_flat_pictures_and_empty_frames_say_nothing(value: int) -> None:
    flat = np.full((64, 64), value, np.float32)
    assert measure_agreement(laid(flat, flat)).agreeing_share == 0.0
    assert abs(correlate_coarsely(laid(flat, flat))) < 1e-6
    empty = np.zeros((64, 64), np.float32)
    assert measure_agreement(laid(flat, flat, empty)) == Agreement(0.0, 0.0, 0.0, 0.0, 0.0)
