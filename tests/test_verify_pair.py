from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from overlens.decode import decode_rgb
from overlens.evidence import make_rendition, read_rendition
from overlens.hashes.orientation import orient
from overlens.verdicts import EDITED, LOOK_ALIKE, SAME_PICTURE, SAME_SCENE
from overlens.verify.pair import Picture, verify_pair
from pictures import make_detailed, resize

Plane = NDArray[np.uint8]


def rotate(grey: Plane, degrees: float) -> Plane:
    height, width = grey.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    return np.asarray(cv2.warpAffine(grey, turn, (width, height)))


def overlay(grey: Plane) -> Plane:
    marked = grey.copy()
    cv2.putText(marked, "SAMPLE", (20, 140), cv2.FONT_HERSHEY_SIMPLEX, 2.2, 255, 6)
    return marked


def recompress(grey: Plane, quality: int) -> Plane:
    _, data = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))


UNCHANGED: dict[str, Callable[[Plane], Plane]] = {
    "smaller": lambda grey: resize(grey, 160, 120),
    "larger": lambda grey: resize(grey, 500, 375),
    "jpeg 10": lambda grey: recompress(grey, 10),
    "blurred": lambda grey: np.asarray(cv2.GaussianBlur(grey, (0, 0), 2.0)),
    "paler": lambda grey: (grey // 2 + 100).astype(np.uint8),
    "darker by a curve": lambda grey: (255 * (grey / 255.0) ** 1.6).astype(np.uint8),
}
EDITED_BY: dict[str, Callable[[Plane], Plane]] = {
    "crop to half": lambda grey: np.ascontiguousarray(grey[30:200, 60:286]),
    "crop to a quarter": lambda grey: np.ascontiguousarray(grey[100:220, 150:310]),
    "border": lambda grey: np.pad(grey, 40, constant_values=255),
    "text": overlay,
    "squashed": lambda grey: resize(grey, 320, 170),
    "mirrored": lambda grey: np.ascontiguousarray(grey[:, ::-1]),
    "rotated by 5 degrees": lambda grey: rotate(grey, 5),
    "rotated by 33 degrees": lambda grey: rotate(grey, 33),
    "mirrored crop": lambda grey: np.ascontiguousarray(grey[20:200, 40:260][:, ::-1]),
}


@pytest.mark.parametrize("change", UNCHANGED.values(), ids=UNCHANGED)
def test_one_picture_in_another_size_or_quality_is_the_same_picture(change: Callable[[Plane], Plane]) -> None:
    grey = make_detailed(1)
    assert verify_pair(Picture(grey), Picture(change(grey))).verdict == SAME_PICTURE


@pytest.mark.parametrize("change", EDITED_BY.values(), ids=EDITED_BY)
def test_an_edited_picture_is_found_from_both_sides(change: Callable[[Plane], Plane]) -> None:
    grey = make_detailed(2)
    assert verify_pair(Picture(grey), Picture(change(grey))).verdict == EDITED
    assert verify_pair(Picture(change(grey)), Picture(grey)).verdict == EDITED


@pytest.mark.parametrize("code", range(1, 8))
def test_flips_and_rotations_are_edits(code: int) -> None:
    grey = make_detailed(3)
    turned = np.ascontiguousarray(orient(grey, code))
    assert verify_pair(Picture(grey), Picture(turned)).verdict == EDITED


@pytest.mark.parametrize("n_pictures", [5, pytest.param(12, marks=pytest.mark.slow)])
@pytest.mark.parametrize("size", [(320, 240), (48, 48), (32, 32)], ids=str)
def test_other_pictures_are_look_alikes_at_any_size(size: tuple[int, int], n_pictures: int) -> None:
    pictures = [Picture(make_detailed(seed, *size)) for seed in range(n_pictures)]
    verdicts = [verify_pair(left, right).verdict for n, left in enumerate(pictures) for right in pictures[:n]]
    assert set(verdicts) == {LOOK_ALIKE}


def test_two_versions_of_one_composition_are_not_copies() -> None:
    outline = resize(make_detailed(4, 40, 30), 320, 240).astype(np.float32)
    left, right = (np.clip(outline * 0.7 + make_detailed(seed) * 0.3, 0, 255).astype(np.uint8) for seed in (5, 6))
    assert verify_pair(Picture(left), Picture(right)).verdict in (SAME_SCENE, LOOK_ALIKE)


def test_evidence_is_kept_and_the_transform_takes_places_from_left_to_right() -> None:
    grey = make_detailed(7)
    found = verify_pair(Picture(grey), Picture(np.ascontiguousarray(grey[120:220, 170:310])))
    moved = found.transform @ (240, 170, 1)
    assert np.allclose(moved[:2] / moved[2], (70, 50), atol=1.5)
    assert found.n_inliers > 20 and found.inlier_share > 0.4
    assert found.shapes == ((240, 320), (100, 140))
    assert found.agreement.covered_share > 0.98


def test_a_plain_copy_needs_no_features() -> None:
    grey = make_detailed(8)
    left, right = Picture(grey), Picture(resize(grey, 200, 150))
    found = verify_pair(left, right)
    assert found.n_inliers == -1 and np.isnan(found.inlier_share)
    assert "features" not in left.__dict__


@pytest.mark.parametrize("shape", [(1, 1), (3, 400), (64, 64)], ids=str)
def test_flat_and_tiny_pictures_are_no_copies_by_their_pixels(shape: tuple[int, int]) -> None:
    flat = Picture(np.full(shape, 200, np.uint8))
    assert verify_pair(flat, flat).verdict == LOOK_ALIKE
    assert verify_pair(flat, Picture(make_detailed(9))).verdict == LOOK_ALIKE


def grey_of(path: Path) -> Picture:
    return Picture(read_rendition(make_rendition(decode_rgb(path.read_bytes())), grey=True))


@pytest.mark.parametrize(
    ("artdl", "wikidata", "verdicts"),
    [
        ("Q4448822", "Q17321337", {SAME_SCENE}),
        ("Q4448822", "Q29939692", {SAME_SCENE}),
        ("nogari_apostle", "Q50326658", {SAME_PICTURE, EDITED}),
        ("273854", "Q6004260", {SAME_PICTURE, EDITED}),
    ],
    ids=["other version", "third version", "framed", "recoloured"],
)
def test_paintings_that_people_judged(shared_data: Path, artdl: str, wikidata: str, verdicts: set[int]) -> None:
    folder = shared_data / "art" / "dataset"
    left = grey_of(folder / "ArtDL" / "JPEGImages" / f"{artdl}.jpg")
    right = grey_of(folder / "wikidata" / "JPEGImages" / f"{wikidata}.jpg")
    assert verify_pair(left, right).verdict in verdicts


def test_a_photograph_of_a_twin_piece_is_no_copy(shared_data: Path) -> None:
    folder = shared_data / "singletons" / "getty_paintings"
    assert verify_pair(grey_of(folder / "00631701.jpg"), grey_of(folder / "00631801.jpg")).verdict == SAME_SCENE


@pytest.mark.parametrize("reach", [1, pytest.param(11, marks=pytest.mark.slow)])
def test_twelve_edits_of_one_photograph_are_one_picture(shared_data: Path, reach: int) -> None:
    """Each edit against as many before it as `reach`."""
    pictures = [grey_of(path) for path in sorted((shared_data / "pdq_transforms" / "bridge-mods").iterdir())]
    verdicts = {
        verify_pair(left, right).verdict for n, left in enumerate(pictures) for right in pictures[max(0, n - reach) : n]
    }
    assert len(pictures) == 12 and verdicts <= {SAME_PICTURE, EDITED}


def test_one_frame_around_different_pictures_does_not_make_them_copies() -> None:
    framed = []
    for seed in (20, 21, 22):
        picture = np.zeros((240, 320), np.uint8)
        picture[40:200, 50:270] = make_detailed(seed, 220, 160)
        framed.append(Picture(picture))
    verdicts = [verify_pair(left, right).verdict for n, left in enumerate(framed) for right in framed[:n]]
    assert not set(verdicts) & {SAME_PICTURE, EDITED}


def test_a_thumbnail_of_32_pixels_is_still_recognised() -> None:
    grey = make_detailed(23)
    found = [verify_pair(Picture(grey), Picture(resize(grey, side, side * 3 // 4))).verdict for side in (32, 48, 64)]
    assert found == [SAME_PICTURE] * 3


@pytest.mark.parametrize("change", EDITED_BY.values(), ids=EDITED_BY)
def test_the_order_of_a_pair_changes_nothing_but_the_direction(change: Callable[[Plane], Plane]) -> None:
    one, two = Picture(make_detailed(24)), Picture(change(make_detailed(24)))
    there, back = verify_pair(one, two), verify_pair(two, one)
    assert (there.verdict, there.agreement, there.n_inliers) == (back.verdict, back.agreement, back.n_inliers)
    assert there.shapes == back.shapes[::-1]
    both = there.transform @ back.transform
    assert np.allclose(both / both[2, 2], np.eye(3), atol=1e-6)
