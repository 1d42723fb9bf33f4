import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import overlens
from overlens.candidates.copies import MOST_FULL
from overlens.layout import CrossLayout
from overlens.testing import FakeEncoder, encode_picture
from pictures import make_detailed

pytestmark = pytest.mark.usefixtures("unrendered")


def rows_of(folder: Path, output: Path, **options: Any) -> list[dict[str, Any]]:
    datasets = [f"{name}={folder / name}" for name in ("one", "two")]
    overlens.analyze(datasets, encoder=FakeEncoder(), output=output, projections="none", **options)
    found: list[dict[str, Any]] = pq.read_table(CrossLayout(output).pairs).to_pylist()
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture three times in one dataset; in the other a mirrored copy, twice, and a picture of its own."""
    root = tmp_path_factory.mktemp("spread")
    picture = np.repeat(make_detailed(1)[..., None], 3, axis=2)
    mirrored = np.ascontiguousarray(picture[4:236, 6:314][:, ::-1])
    for name, pixels in {
        "one/m1.png": picture,
        "one/m2.png": picture,
        "one/a3.bmp": picture,
        "two/m4.png": mirrored,
        "two/b5.png": mirrored,
        "two/other.png": np.repeat(make_detailed(2)[..., None], 3, axis=2),
    }.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(encode_picture(pixels, "BMP" if name.endswith("bmp") else "PNG"))
    return root


def test_every_pair_of_equal_images_has_the_verdict_of_their_first(folder: Path, tmp_path: Path) -> None:
    rows = rows_of(folder, tmp_path)
    across = [row for row in rows if row["dataset_a"] != row["dataset_b"]]
    assert len(across) == 3 * 2 and {row["verdict"] for row in across} == {"edited"}
    assert len({(row["image_a"], row["image_b"]) for row in across}) == 6
    assert all(row["mirrored"] and row["orientation"] == 1 for row in across)
    for side in ("strength", "n_inliers", "crop_left", "crop_right", "scale", "phash_bits", "cosine"):
        assert len({row[side] for row in across}) == 1, side
    within = [row["verdict"] for row in rows if row["dataset_a"] == row["dataset_b"]]
    assert sorted(within) == ["same_bytes", "same_bytes", "same_pixels", "same_pixels"]


def test_nothing_is_added_inside_a_reference(folder: Path, tmp_path: Path) -> None:
    rows = rows_of(folder, tmp_path, reference="one")
    assert not [row for row in rows if row["dataset_a"] == row["dataset_b"] == "one"]
    assert len([row for row in rows if row["dataset_a"] != row["dataset_b"]]) == 6


def test_a_pair_turned_by_its_order_has_its_transform_turned(tmp_path: Path) -> None:
    """In one dataset equal images may stand on both sides of their copy."""
    picture = np.repeat(make_detailed(3)[..., None], 3, axis=2)
    crop = np.ascontiguousarray(picture[6:234, 8:312])
    for name, pixels in {"a": picture, "b": crop, "c": picture}.items():
        (tmp_path / "one").mkdir(exist_ok=True)
        (tmp_path / "one" / f"{name}.png").write_bytes(encode_picture(pixels))
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "x.png").write_bytes(encode_picture(np.repeat(make_detailed(4)[..., None], 3, axis=2)))
    rows = {(row["image_a"], row["image_b"]): row for row in rows_of(tmp_path, tmp_path / "out")}
    assert set(rows) == {("a.png", "b.png"), ("a.png", "c.png"), ("b.png", "c.png")}
    there, back = rows["a.png", "b.png"], rows["b.png", "c.png"]
    assert [there[f"crop_{side}"] for side in ("left", "right")] == pytest.approx([8 / 320, 312 / 320], abs=0.005)
    assert [back[f"crop_{side}"] for side in ("left", "right")] == pytest.approx([0, 1], abs=0.005)
    assert there["overlap_area"] == pytest.approx(back["overlap_area"], abs=0.02)


@pytest.mark.parametrize(("n_equal", "n_pairs"), [(MOST_FULL, 231), (MOST_FULL + 1, 22)], ids=["listed", "a star"])
def test_only_large_classes_keep_their_pairs_to_themselves(tmp_path: Path, n_equal: int, n_pairs: int) -> None:
    """Equal images of one dataset beside one mirrored picture: all their pairs up to 21, of more one for all."""
    picture = np.repeat(make_detailed(5)[..., None], 3, axis=2)
    (tmp_path / "one").mkdir()
    for number in range(n_equal):
        (tmp_path / "one" / f"{number:02}.png").write_bytes(encode_picture(picture))
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "mirrored.png").write_bytes(encode_picture(np.ascontiguousarray(picture[:, ::-1])))
    rows = rows_of(tmp_path, tmp_path / "out")
    inferred = [row for row in rows if row["inferred"]]
    assert len(rows) == n_pairs
    assert len(inferred) == (n_equal - 1 if n_equal <= MOST_FULL else 0)
    assert all(row["verdict"] == "edited" for row in inferred)
    found = json.loads(CrossLayout(tmp_path / "out").overlap.read_text())["methods"]["verified"]
    assert (found["n_looked_at"], found["n_inferred"]) == (1, len(inferred))
    assert found["n_classes_not_listed_whole"] == (n_equal > MOST_FULL)
    assert found["contained"]["one"]["two"] == n_equal
