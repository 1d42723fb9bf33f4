"""A transform that is known is described as what it is; one that cannot be is not described, and nothing raises."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from overlens.verify.transforms import describe, describe_transform, from_shares, in_shares

LEFT = (300, 400)


def shift(x, y):
    return np.array([[1.0, 0, x], [0, 1, y], [0, 0, 1]])


def about(centre, linear):
    """The linear map about a place."""
    full = np.eye(3)
    full[:2, :2] = linear
    return shift(*centre) @ full @ shift(-centre[0], -centre[1])


def turn(degrees):
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[c, -s], [s, c]])


def cut(left, top):
    """A crop whose first pixel is at (left, top) of the left picture."""
    return shift(-left, -top)


def resize(source, target):
    tall, wide = target[0] / source[0], target[1] / source[1]
    return np.array([[wide, 0, (wide - 1) / 2], [0, tall, (tall - 1) / 2], [0, 0, 1]])


def crop_of(facts):
    return facts.crop_left, facts.crop_top, facts.crop_right, facts.crop_bottom


ORIENTED = {  # code of overlens.hashes.orientation -> transform of LEFT, mirrored, degrees
    0: (np.eye(3), False, 0),
    1: (np.array([[-1.0, 0, 399], [0, 1, 0], [0, 0, 1]]), True, 0),
    2: (np.array([[1.0, 0, 0], [0, -1, 299], [0, 0, 1]]), True, 180),
    3: (np.array([[-1.0, 0, 399], [0, -1, 299], [0, 0, 1]]), False, 180),
    5: (np.array([[0.0, -1, 299], [1, 0, 0], [0, 0, 1]]), False, 90),
    6: (np.array([[0.0, 1, 0], [-1, 0, 399], [0, 0, 1]]), False, -90),
}


@pytest.mark.parametrize("code", ORIENTED)
def test_flips_and_quarter_turns_show_everything(code):
    transform, mirrored, degrees = ORIENTED[code]
    facts = describe_transform(transform, LEFT, LEFT[::-1] if code & 4 else LEFT)
    assert facts.mirrored is mirrored
    assert abs(facts.rotation_degrees) == pytest.approx(180) if degrees == 180 else facts.rotation_degrees == degrees
    assert (facts.scale, facts.aspect_ratio, facts.perspective) == pytest.approx((1, 1, 0))
    assert crop_of(facts) == (0, 0, 1, 1)
    assert (facts.left_share, facts.right_share, facts.overlap_area) == (1, 1, 1)


def test_codes_are_those_of_oriented_pixels():
    from overlens.hashes.orientation import orient

    picture = np.arange(300 * 400).reshape(LEFT)
    for code, (transform, _, _) in ORIENTED.items():
        x, y, _ = (transform @ (37, 211, 1)).astype(int)
        assert orient(picture, code)[y, x] == picture[211, 37]


@settings(max_examples=60, deadline=None)
@given(
    degrees=st.floats(-179, 179),
    scale=st.floats(0.2, 5),
    aspect=st.floats(0.4, 2.5),
    mirrored=st.booleans(),
    factor=st.sampled_from([1.0, -1.0, 1e-7, 1e9]),
)
def test_an_affine_transform_is_taken_apart(degrees, scale, aspect, mirrored, factor):
    stretch = np.diag([scale * math.sqrt(aspect), scale / math.sqrt(aspect)])
    linear = turn(degrees) @ stretch @ np.diag([-1 if mirrored else 1, 1])
    transform = shift(249.5 - 199.5, 249.5 - 149.5) @ about((199.5, 149.5), linear)
    facts = describe_transform(factor * transform, LEFT, (500, 500))
    assert facts.mirrored == mirrored
    assert facts.rotation_degrees == pytest.approx(degrees, abs=1e-6)
    assert (facts.scale, facts.aspect_ratio) == pytest.approx((scale, aspect))
    assert facts.perspective == pytest.approx(0, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(degrees=st.floats(-60, 60), wide=st.floats(0.5, 2), tall=st.floats(0.5, 2))
def test_the_angle_is_exact_whether_squashed_before_or_after(degrees, wide, tall):
    before, after = turn(degrees) @ np.diag([wide, tall]), np.diag([wide, tall]) @ turn(degrees)
    for linear in (before, after):
        facts = describe_transform(about((199.5, 149.5), linear), LEFT, LEFT)
        assert facts.rotation_degrees == pytest.approx(degrees, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 300), st.integers(0, 200), st.integers(20, 400), st.integers(20, 300), st.floats(0.3, 3))
def test_a_crop_is_found_with_its_area(left, top, width, height, zoom):
    assume(left + width <= 400 and top + height <= 300)
    size = (max(1, round(height * zoom)), max(1, round(width * zoom)))
    facts = describe_transform(resize((height, width), size) @ cut(left, top), LEFT, size)
    assert crop_of(facts) == pytest.approx((left / 400, top / 300, (left + width) / 400, (top + height) / 300))
    assert (facts.left_share, facts.overlap_area) == pytest.approx((width * height / 120_000,) * 2)
    assert facts.right_share == pytest.approx(1)
    assert facts.aspect_ratio == pytest.approx(size[1] / width / (size[0] / height))


def test_a_border_shows_in_the_right_picture():
    facts = describe_transform(shift(50, 25), LEFT, (350, 500))
    assert crop_of(facts) == (0, 0, 1, 1)
    assert facts.right_share == facts.overlap_area == pytest.approx(120_000 / 175_000)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-40, 40), min_size=8, max_size=8))
def test_areas_of_a_homography_are_those_counted_pixel_by_pixel(moves):
    corners = np.float32([[-0.5, -0.5], [399.5, -0.5], [399.5, 299.5], [-0.5, 299.5]])
    moved = corners + np.float32(moves).reshape(4, 2)
    transform = cv2.getPerspectiveTransform(corners, moved)
    facts = describe_transform(transform, LEFT, LEFT)
    y, x = np.mgrid[0:300, 0:400]
    places = np.stack([x, y, np.ones_like(x)], -1) @ transform.T
    u, v = places[..., 0] / places[..., 2], places[..., 1] / places[..., 2]
    shown = (u >= -0.5) & (u < 399.5) & (v >= -0.5) & (v < 299.5)
    assert facts.left_share == pytest.approx(shown.mean(), abs=0.006)
    rows, columns = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
    edges = columns[0] / 400, rows[0] / 300, (columns[-1] + 1) / 400, (rows[-1] + 1) / 300
    assert crop_of(facts) == pytest.approx(edges, abs=0.01)
    backwards = describe_transform(np.linalg.inv(transform), LEFT, LEFT)
    assert (backwards.left_share, backwards.right_share) == pytest.approx((facts.right_share, facts.left_share))
    assert facts.overlap_area <= facts.left_share + 1e-12


def test_the_perspective_is_how_much_the_scale_varies():
    transform = np.array([[1.0, 0, 0], [0, 1, 0], [0.0005, 0, 1]])
    facts = describe_transform(transform, LEFT, LEFT)
    near, far = (1 + 0.0005 * x for x in (-0.5, 399.5))
    assert facts.perspective == pytest.approx((far / near) ** 1.5 - 1)
    assert "seen at an angle" in describe(facts)


NOTHING = {
    "nan": np.full((3, 3), np.nan),
    "infinite": np.array([[np.inf, 0, 0], [0, 1, 0], [0, 0, 1]]),
    "zeros": np.zeros((3, 3)),
    "onto a line": np.array([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]]),
    "onto a point": np.array([[0.0, 0, 5], [0, 0, 5], [0, 0, 1]]),
    "apart": shift(10_000, 0),
    "side by side": shift(400, 0),
    "horizon within": np.array([[1.0, 0, -200], [0, 1, 0], [-0.005, 0, 1]]),
    "tiny": np.diag([1e-200, 1e-200, 1.0]),
    "huge": np.full((3, 3), 1e308),
}


@pytest.mark.parametrize("transform", NOTHING.values(), ids=NOTHING)
def test_what_cannot_be_is_not_described(transform):
    facts = describe_transform(transform, LEFT, LEFT)
    assert not facts.is_known and facts.mirrored is False
    assert all(map(math.isnan, (facts.rotation_degrees, facts.scale, facts.aspect_ratio, facts.perspective)))
    assert (facts.overlap_area, facts.left_share, facts.right_share) == (0, 0, 0)
    assert crop_of(facts) == (0, 0, 0, 0)
    assert describe(facts) == "no part in common"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True, width=64), min_size=9, max_size=9))
def test_no_matrix_raises(values):
    facts = describe_transform(np.array(values).reshape(3, 3), LEFT, (200, 500))
    assert 0 <= facts.overlap_area <= 1
    assert 0 <= facts.crop_left <= facts.crop_right <= 1
    assert describe(facts)


def test_a_matrix_of_another_shape_is_a_mistake():
    with pytest.raises(ValueError, match="3 x 3"):
        describe_transform(np.eye(2), LEFT, LEFT)
    with pytest.raises(ValueError, match="two pictures"):
        describe_transform(np.eye(3), (0, 3), LEFT)


WORDS = {
    "the same view": (np.eye(3), LEFT),
    "mirrored": (ORIENTED[1][0], LEFT),
    "flipped upside down": (ORIENTED[2][0], LEFT),
    "rotated by 180 degrees": (ORIENTED[3][0], LEFT),
    "rotated by 90 degrees counter-clockwise": (ORIENTED[6][0], (400, 300)),
    "squashed to 50 % of its width": (resize(LEFT, (300, 200)), (300, 200)),
    "squashed to 75 % of its height": (resize(LEFT, (225, 400)), (225, 400)),
    "shows 48 % of the left picture": (cut(0, 0), (240, 240)),
    "mirrored, shows 50 % of the left picture": (ORIENTED[1][0], (300, 200)),
    "has 25 % that the left picture has not": (shift(0, 0), (400, 400)),
    "mirrored, rotated by 5 degrees clockwise, shows 25 % of the left picture": (
        shift(99.5 - 199.5, 74.5 - 149.5) @ about((199.5, 149.5), turn(5) @ np.diag([-1, 1])),
        (150, 200),
    ),
}


@pytest.mark.parametrize("words", WORDS)
def test_words(words):
    transform, right = WORDS[words]
    assert describe(describe_transform(transform, LEFT, right)) == words


def test_transforms_in_shares_come_back_for_any_size():
    generator = np.random.Generator(np.random.PCG64(3))
    transforms = np.eye(3) + generator.normal(0, 0.05, (20, 3, 3))
    transforms[:, 2, :2] /= 100
    shapes = generator.integers(20, 500, (20, 2, 2))
    for one, shares, (left, right) in zip(transforms, in_shares(transforms, shapes), shapes.tolist(), strict=True):
        back = from_shares(shares, left, right)
        np.testing.assert_allclose(back / back[2, 2], one / one[2, 2], atol=1e-9)


def test_corners_meet_corners_in_shares():
    doubled = np.array([[[2.0, 0, 0.5], [0, 3, 1], [0, 0, 1]]])
    np.testing.assert_allclose(in_shares(doubled, np.array([[[10, 20], [30, 40]]]))[0], np.eye(3), atol=1e-12)


def test_a_transform_that_is_none_stays_none():
    shares = in_shares(np.full((2, 3, 3), np.nan), np.zeros((2, 2, 2), np.int32))
    assert np.isnan(shares).all()
