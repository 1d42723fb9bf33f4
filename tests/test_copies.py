import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

import overlens
from overlens.analysis import Analysis
from overlens.errors import ConfigError
from overlens.gallery_pictures import _copies_text
from overlens.layout import CrossLayout
from overlens.pair_tables import FACTS
from overlens.testing import FakeEncoder, encode_picture
from overlens.verdicts import VERDICTS, VERIFIED
from pictures import make_detailed, resize, unrendered_pictures


def coloured(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.stack([grey, grey[::-1], 255 - grey], axis=2)


def write(folder: Path, pictures: dict[str, NDArray[np.uint8]], **settings: Any) -> None:
    folder.mkdir(parents=True)
    for name, pixels in pictures.items():
        (folder / name).write_bytes(encode_picture(pixels, **settings))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two datasets: four pictures, an equal file, a crop and a small mirrored copy of three of them; blank pages."""
    root = tmp_path_factory.mktemp("copies")
    first = {f"{seed}.png": np.repeat(make_detailed(seed)[..., None], 3, axis=2) for seed in range(4)}
    blank = np.broadcast_to(np.linspace(246, 250, 80)[:, None], (100, 80, 3)).astype(np.uint8)
    write(root / "first", {**first, "blank1.png": blank, "blank2.png": blank[:90]})
    second = {
        "equal.png": first["0.png"],
        "crop.png": first["1.png"][20:210, 30:280],
        "mirror.png": np.repeat(resize(make_detailed(2), 200, 150)[:, ::-1, None], 3, axis=2),
        "other.png": np.repeat(make_detailed(9)[..., None], 3, axis=2),
        "page.png": blank[:80] - 3,
    }
    write(root / "second", second)
    return root


def analyse(
    folder: Path, output: Path, *, names: tuple[str, ...] = ("first", "second"), rendered: bool = False, **options: Any
) -> Analysis:
    datasets = [f"{name}={folder / name}" for name in names]
    with nullcontext() if rendered else unrendered_pictures():
        return overlens.analyze(datasets, encoder=FakeEncoder(), output=output, projections="none", **options)


@pytest.fixture(scope="module")
def analysis(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    return analyse(folders, tmp_path_factory.mktemp("output"), rendered=True)


def read(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


def test_planted_copies_are_verified_and_nothing_else(analysis: Analysis) -> None:
    rows = [row for row in read(CrossLayout(analysis.output).pairs) if row["verdict"] in VERIFIED]
    found = {(row["image_a"], row["image_b"]): row["verdict"] for row in rows}
    assert found == {
        ("0.png", "equal.png"): "same_bytes",
        ("1.png", "crop.png"): "edited",
        ("2.png", "mirror.png"): "edited",
    }


def test_a_pair_comes_with_every_signal(analysis: Analysis) -> None:
    rows = {row["image_b"]: row for row in read(CrossLayout(analysis.output).pairs)}
    names = "dataset_a image_a dataset_b image_b verdict strength same_bytes same_pixels inferred phash_bits dhash_bits"
    assert list(rows["crop.png"])[:11] == names.split()
    assert set(FACTS) <= set(rows["crop.png"])
    assert rows["equal.png"]["same_bytes"] and rows["equal.png"]["coarse_correlation"] is None
    assert rows["mirror.png"]["mirrored"] and rows["mirror.png"]["orientation"] == 1
    assert rows["mirror.png"]["scale"] == pytest.approx(200 / 320, rel=0.02)
    crop = [rows["crop.png"][f"crop_{side}"] for side in ("left", "top", "right", "bottom")]
    assert crop == pytest.approx([30 / 320, 20 / 240, 280 / 320, 210 / 240], abs=0.02)
    assert rows["crop.png"]["fine_correlation"] > 0.9
    assert {row["verdict"] for row in rows.values()} <= set(VERDICTS)


def test_groups_hold_their_images_a_representative_and_their_weakest_edge(analysis: Analysis) -> None:
    rows = read(CrossLayout(analysis.output).groups)
    assert [(row["group"], row["dataset"], row["image"], row["representative"]) for row in rows] == [
        (0, "first", "0.png", True),
        (0, "second", "equal.png", False),
        (1, "first", "1.png", True),
        (1, "second", "crop.png", False),
        (2, "first", "2.png", True),
        (2, "second", "mirror.png", False),
    ]
    assert [row["weakest_edge"] for row in rows[::2]] == ["same_bytes", "edited", "edited"]


def test_the_overlap_is_that_of_the_groups_and_stands_in_overlap_json(analysis: Analysis) -> None:
    numbers = json.loads(CrossLayout(analysis.output).overlap.read_text())["methods"]["verified"]
    assert numbers["contained"] == {"first": {"second": 3}, "second": {"first": 3}}
    assert numbers["within"] == {"first": 0, "second": 0}
    assert numbers["n_groups"] == 3 and numbers["n_grouped_images"] == 6
    assert numbers["n_low_information"] == {"first": 2, "second": 1}
    assert numbers["jaccard"]["first"]["second"] == pytest.approx(3 / 8)
    assert analysis.overlap("verified").contained["first"]["second"] == 3


def test_images_by_rung_add_up_to_the_overlap(analysis: Analysis) -> None:
    assert analysis.copies is not None
    counted = analysis.copies.images_by_rung()
    assert counted["first", "second"] == {"same_bytes": 1, "same_pixels": 0, "same_picture": 0, "edited": 2}
    assert sum(counted["first", "first"].values()) == 0


def test_pictures_of_the_verified_overlap_are_drawn(analysis: Analysis) -> None:
    layout = CrossLayout(analysis.output)
    drawn = [layout.venn("verified"), *(layout.curve(method, "png") for method in ("cosine", "perceptual", "verified"))]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)
    assert layout.curve("verified", "csv").read_text().splitlines()[0].startswith("method,dataset,other")


def test_a_second_run_writes_the_same_tables(folders: Path, analysis: Analysis, tmp_path: Path) -> None:
    again = analyse(folders, tmp_path, workers=1)
    for one, other in zip(
        (CrossLayout(analysis.output).pairs, CrossLayout(analysis.output).groups, CrossLayout(analysis.output).overlap),
        (CrossLayout(again.output).pairs, CrossLayout(again.output).groups, CrossLayout(again.output).overlap),
        strict=True,
    ):
        assert one.read_bytes() == other.read_bytes(), one.name


@pytest.fixture(scope="module")
def against_given(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    """A run whose second dataset is the reference: two equal pictures, of which the first dataset has a third."""
    folder = tmp_path_factory.mktemp("reference")
    page, other, third = (coloured(make_detailed(seed, 160, 120)) for seed in (1, 2, 3))
    write(folder / "new", {"copy.png": page, "third.png": third})
    write(folder / "given", {"one.png": page, "two.png": page, "other.png": other})
    return analyse(folder, folder / "out", names=("new", "given"), reference="given")


def test_pairs_inside_a_reference_are_reported_by_no_method(against_given: Analysis) -> None:
    for method in ("cosine", "perceptual", "verified"):
        overlap = against_given.overlap(method)
        assert overlap.within["given"] is None and overlap.contained["given"]["new"] == 2, method
    layout = CrossLayout(against_given.output)
    assert {(row["dataset_a"], row["dataset_b"]) for row in read(layout.pairs)} == {("new", "given")}
    assert against_given.to_json()["reference"] == "given"
    lines = layout.curve("cosine", "csv").read_text().splitlines()
    assert [line for line in lines if line.startswith("cosine,given,new,")]
    assert not [line for line in lines if line.startswith("cosine,given,given,")]


def test_a_reference_represents_its_groups(against_given: Analysis) -> None:
    rows = read(CrossLayout(against_given.output).groups)
    assert [(row["dataset"], row["image"]) for row in rows if row["representative"]] == [("given", "one.png")]


def test_the_representative_follows_the_rule(folders: Path, tmp_path: Path) -> None:
    rows = read(CrossLayout(analyse(folders, tmp_path, keep="first").output).groups)
    assert all(row["representative"] == (row["dataset"] == "first") for row in rows)


def test_without_verification_there_is_none(folders: Path, tmp_path: Path) -> None:
    plain = analyse(folders, tmp_path, no_verify=True)
    assert plain.copies is None and not CrossLayout(plain.output).pairs.exists()
    assert set(plain.to_json()["methods"]) == {"cosine", "perceptual"}
    with pytest.raises(ConfigError, match="no method 'verified'"):
        plain.overlap("verified")


def test_an_unknown_reference_is_refused_with_the_known_ones(folders: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--reference 'third' is not known; allowed: first, second"):
        analyse(folders, tmp_path, reference="third")


@pytest.mark.parametrize(
    ("n_shown", "n_pairs", "ending", "about"),
    [
        (0, 0, "", ""),
        (1, 1, ": the only pair", "Strength"),
        (1, 3, ": one of 3 pairs", "Strength"),
        (2, 2, ": all 2 pairs", "The least sure come first"),
        (7, 8, ": the 7 least sure, one of each group, of 8 pairs", "The least sure come first"),
    ],
)
def test_a_gallery_of_copies_says_only_what_it_holds(n_shown: int, n_pairs: int, ending: str, about: str) -> None:
    text = _copies_text(("a", "b"), n_shown, n_pairs)
    assert text.title(n_shown) == f"Verified copies between a and b{ending}"
    words = " ".join(text.about)
    assert words.startswith(about) and bool(words) == bool(n_shown)
    assert ("One pair of each group is shown." in words) == (n_shown < n_pairs)


def test_the_least_sure_copies_are_shown_one_of_each_group(analysis: Analysis) -> None:
    assert analysis.copies is not None
    places, n_pairs = analysis.copies.least_sure("second", "first", 2)
    assert n_pairs == 3
    assert [analysis.copies.judged.describe(place).split(",")[0] for place in places] == ["edited", "edited"]
    assert "mirrored" in " ".join(analysis.copies.judged.describe(place) for place in places)
    assert CrossLayout(analysis.output).gallery("first", "second", "verified").read_bytes().startswith(b"\x89PNG")
