"""Equal identifiers are shared; equal names only where they can hardly be equal by chance."""

import json
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import overlens
from overlens.config import DatasetSpec, IdentifierConfig
from overlens.decode import image_extensions
from overlens.errors import ConfigError, DatasetError
from overlens.recall.identifiers import (
    NO_IDENTIFIER,
    SharedIdentifiers,
    can_identify,
    count_neighbours,
    read_identifiers,
    share_identifiers,
    tell_identified,
)
from overlens.run_options import config_from_options
from overlens.sources import list_images

PLAIN = IdentifierConfig()


def read(keys, name="a", column=None, config=PLAIN):
    return read_identifiers(name, keys, column=column, config=config, extensions=frozenset({".jpg", ".png"}))


def share(left, right, config=PLAIN):
    return share_identifiers(read(left, "a", config=config), read(right, "b", config=config))


@pytest.mark.parametrize(
    ("config", "key", "value"),
    [
        (PLAIN, "Q15974339", "Q15974339"),
        (PLAIN, "dogs/Q15974339.JPG", "Q15974339"),
        (PLAIN, "1939_1.291.x", "1939_1.291.x"),
        (PLAIN, " Cafe\u0301 .jpg", "Cafe\u0301"),
        (IdentifierConfig(pattern="Q[0-9]+"), "v2/ArtDL_Q15974339_full.jpg", "Q15974339"),
        (IdentifierConfig(pattern="([a-z]+)/[0-9]+$"), "animals/dog/007.png", "dog"),
        (IdentifierConfig(pattern="(?:x)?y([0-9])?"), "xy", None),
        (IdentifierConfig(pattern="Q[0-9]+"), "1939_1_291.jpg", None),
    ],
)
def test_a_name_gives_its_identifier_as_it_is_written(config, key, value):
    found = read([key], config=config)
    assert (found.values, found.n_identified) == ((value,), int(value is not None))


def test_ways_of_writing_an_identifier_are_compared_alike_and_told_as_the_first_writes_it():
    config = IdentifierConfig("item")
    left = read(["1.jpg", "2.jpg", "3.jpg"], "a", column=("Cafe\u0301 12", "CAF\u00c9 12", "x"), config=config)
    right = read(["4.jpg"], "b", column=(" caf\u00e9 12 ",), config=config)
    assert left.compared() == ["caf\u00e9 12", "caf\u00e9 12", "x"]
    shared = share_identifiers(left, right)
    assert (shared.values, shared.left.tolist()) == (("Cafe\u0301 12",), [0, 0, NO_IDENTIFIER])
    assert share_identifiers(right, left).values == ("caf\u00e9 12",)


def test_what_a_stated_pattern_identifies_is_told_where_it_is_not_everything():
    config = IdentifierConfig(pattern="Q[0-9]+")
    some, none, all_ = (read(keys, n, config=config) for n, keys in (("a", ["Q1", "x"]), ("b", ["y"]), ("c", ["Q1"])))
    assert tell_identified([some, none], is_shared=False) == [
        "a: 1 of 2 images have an identifier (names by pattern Q[0-9]+)",
        "b: 0 of 1 images have an identifier (names by pattern Q[0-9]+)",
        "no two datasets share an identifier, so there is no recall to measure",
    ]
    told = tell_identified([some, all_], is_shared=True)
    assert told == ["a: 1 of 2 images have an identifier (names by pattern Q[0-9]+)"]
    assert tell_identified([all_, all_], is_shared=True) == []
    assert tell_identified([read(["x"]), read(["y"])], is_shared=False) == []


def test_a_column_comes_before_names_and_a_pattern_looks_into_it():
    column = ("https://www.wikidata.org/entity/Q45585", None, " ", "none")
    plain = read(["a.jpg"] * 4, column=column, config=IdentifierConfig("item"))
    assert plain.values == ("https://www.wikidata.org/entity/Q45585", None, None, "none")
    assert plain.source == "column item"
    found = read(["Q1.jpg"] * 4, column=column, config=IdentifierConfig("item", "Q[0-9]+"))
    assert found.values == ("Q45585", None, None, None)
    assert found.source == "column item by pattern Q[0-9]+"


@pytest.mark.parametrize(
    ("name", "can"),
    [
        ("Q45585", True),
        ("Q4558", False),
        ("image_00001", False),
        ("IMG_4321", False),
        ("10234567", False),
        ("1124850093", True),
        ("0000000012", False),
        ("starry_night", False),
        ("7b2e9c41-02af-4d7e-8c11-99e0a1d4f3b2", True),
    ],
)
def test_which_names_hold_enough(name, can):
    assert can_identify(name) is can


def test_sparse_numbers_are_shared_in_order_of_the_first():
    shared = share(["x/Q15974339.jpg", "Q17335796.jpg", "b.jpg", "Q18225338.jpg"], ["Q18225338.png", "Q15974339.png"])
    assert shared.values == ("Q15974339", "Q18225338")
    assert shared.left.tolist() == [0, NO_IDENTIFIER, NO_IDENTIFIER, 1]
    assert shared.right.tolist() == [1, 0]
    assert (shared.source, shared.n_refused) == ("names", 0)


@pytest.mark.parametrize("start", [1, 54_321, 10**9], ids=str)
@pytest.mark.parametrize("step", [1, 7, 10, 50])
def test_running_numbers_are_refused_and_a_pattern_admits_them(start, step):
    names = [f"photo_{start + step * i:012d}.jpg" for i in range(60)]
    assert (len(share(names, names)), share(names, names).n_refused) == (0, 60)
    assert len(share(names, names, IdentifierConfig(pattern=r"[^/]+$"))) == 60


def test_a_counter_is_seen_beside_catalogue_numbers_and_inside_names():
    counted = [f"scan{n}_of_the_museum" for n in range(70_000, 70_040)]
    frames = [f"clip_1234567_{n:03d}" for n in range(30)]
    numbers = np.random.default_rng(4).choice(10**8, 30, replace=False) + 10**8
    catalogue = [f"M{number}" for number in numbers]
    shared = share([*counted, *frames, *catalogue], [*catalogue[::-1], *frames, *counted])
    assert set(shared.values) == set(catalogue)
    assert shared.n_refused == 70


def test_random_draws_from_one_numbering_are_chance():
    rng = np.random.default_rng(11)
    accepted = 0
    for _ in range(200):
        left, right = (rng.choice(90_000, 300, replace=False) + 10_000 for _ in range(2))
        accepted += len(share([f"n{i}" for i in left], [f"n{i}" for i in right])) > 0
    assert accepted <= 4


def test_a_copied_subset_of_a_sparse_numbering_is_no_chance():
    left = np.random.default_rng(5).choice(10**7, 5_000, replace=False) + 10**7
    shared = share([f"n{i}" for i in left], [f"n{i}" for i in left[:40]])
    assert (len(shared), shared.n_refused) == (40, 0)


def test_a_name_that_stands_twice_is_no_identifier_unless_it_is_stated():
    left, right = ["a/Q15974339.jpg", "b/Q15974339.jpg"], ["Q15974339.jpg"]
    assert (len(share(left, right)), share(left, right).n_refused) == (0, 1)
    stated = share(left, right, IdentifierConfig(pattern="Q[0-9]+"))
    assert (len(stated), stated.left.tolist()) == (1, [0, 0])


def test_a_column_on_one_side_meets_names_on_the_other():
    config = IdentifierConfig("item")
    left = read(["1.jpg", "2.jpg"], "a", column=("Q12", "q12"), config=config)
    shared = share_identifiers(left, read(["Q12.jpg"], "b", config=config))
    assert (shared.values, shared.source) == (("Q12",), "column item and names")
    assert shared.left.tolist() == [0, 0]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 60), max_size=30), st.lists(st.integers(0, 60), max_size=30), st.integers(1, 9))
def test_neighbours_are_counted_as_by_hand(left, right, reach):
    expected = max(
        (sum(i + d in set(right) for i in set(left)) for d in range(-reach, reach + 1) if d),
        default=0,
    )
    if not len(left) == len(right) == 1:
        assert count_neighbours(left, right, reach) == expected


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["Q15974339", "q15974339", "M99887766", "k1", "", "z"]), max_size=8), st.randoms())
def test_the_order_of_images_changes_no_count(names, random):
    shuffled = random.sample(names, len(names))
    config = IdentifierConfig(pattern=".+")
    for chosen in (PLAIN, config):
        one, other = share(names, names[::2], chosen), share(shuffled, names[::2], chosen)
        assert {value.casefold() for value in one.values} == {value.casefold() for value in other.values}
        assert one.n_refused == other.n_refused
        assert np.bincount(one.left + 1).sum() == len(names)


def real_names(shared_data, step):
    published = shared_data / "art_published" / "dataset"
    sets = {
        name: json.loads((published / f"{name}-data" / "analysis" / "names.json").read_text())
        for name in ("ArtDL", "ICONCLASS", "wikidata")
    }
    folders = [*(shared_data / "cifar10_dups").iterdir(), *(shared_data / "pacs_mini").iterdir()]
    folders += [
        *sorted((shared_data / "caltech101_mini").iterdir())[::step],
        shared_data / "singletons",
        shared_data / "nasty_pillow",
    ]
    for folder in filter(lambda path: path.is_dir(), folders):
        sets[folder.name] = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.*"))]
    return sets


@pytest.mark.parametrize(("step", "least_refused"), [(5, 500), pytest.param(1, 9_000, marks=pytest.mark.slow)])
def test_real_names_mean_something_in_one_pair_of_datasets_alone(shared_data, step, least_refused):
    """Between many collections, each with the names it came with; of one, every `step`-th class is a collection."""
    identifiers = [
        read_identifiers(name, keys, column=None, config=PLAIN, extensions=image_extensions())
        for name, keys in real_names(shared_data, step).items()
    ]
    found, n_refused = {}, 0
    for left, right in combinations(identifiers, 2):
        shared = share_identifiers(left, right)
        n_refused += shared.n_refused
        if len(shared):
            found[left.dataset, right.dataset] = len(shared)
    assert found == {("ArtDL", "wikidata"): 19}
    assert n_refused > least_refused, n_refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"identifier_column": " "}, "--identifier-column is empty"),
        ({"identifier_pattern": "("}, "no regular expression"),
        ({"identifier_pattern": "(a)(b)"}, "has 2 groups"),
        ({"identifier_pattern": "[0-9]*"}, "empty text"),
        ({"identifier_column": "item", "from_embeddings": True}, "read from a manifest"),
    ],
)
def test_what_cannot_identify_is_refused_at_once(options, message):
    with pytest.raises(ConfigError, match=message):
        config_from_options(options)


def test_the_options_reach_the_configuration():
    config = config_from_options({"identifier_column": "item", "identifier_pattern": "Q[0-9]+"})
    assert config.identifiers == IdentifierConfig("item", "Q[0-9]+")


def test_a_record_that_does_not_fit_is_a_mistake():
    with pytest.raises(ValueError, match="right must be int32 and name each of 1"):
        SharedIdentifiers("a", "b", "names", ("x",), np.zeros(1, np.int32), np.full(2, NO_IDENTIFIER, np.int32))


@pytest.fixture
def folder(tmp_path):
    """Three files for manifests."""
    for name in "abc":
        (tmp_path / f"{name}.jpg").touch()
    return tmp_path


def listed(path, column):
    return list_images(DatasetSpec("mine", path), path, use_ground_truth=False, identifier_column=column)


@pytest.mark.parametrize("column", ["Item", "item", " ITEM "])
def test_a_manifest_gives_the_stated_column(folder, column):
    (folder / "list.csv").write_text("path,label,Item\na.jpg,x,Q12\nb.jpg,x,\n./a.jpg,x,Q13\nc.jpg,x, Q14 \n")
    listing = listed(folder / "list.csv", column)
    assert listing.identifiers == ("Q12", None, "Q14")
    assert "list.csv: rows that give an image a further identifier, left out: 1" in listing.notices


def test_a_parquet_column_may_hold_numbers(folder):
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table({"path": ["a.jpg", "b.jpg", "c.jpg"], "item": [12.0, float("nan"), None]})
    pyarrow.parquet.write_table(table, folder / "list.parquet")
    assert listed(folder / "list.parquet", "item").identifiers == ("12", None, None)
    assert listed(folder / "list.parquet", "path").identifiers == ("a.jpg", "b.jpg", "c.jpg")
    pyarrow.parquet.write_table(table.append_column("parts", [[[1], [2], [3]]]), folder / "list.parquet")
    with pytest.raises(DatasetError, match="the identifier in row 1 is not usable"):
        listed(folder / "list.parquet", "parts")


def test_a_dataset_without_the_column_is_identified_by_names_and_says_so(folder):
    (folder / "list.csv").write_text("path\na.jpg\n")
    (folder / "list.tsv").write_text("path\tlabel\tQID \na.jpg\tx\tQ1\n")
    for path, among in (
        (folder, ""),
        (folder / "list.csv", " among path"),
        (folder / "list.tsv", " among path, label, QID"),
    ):
        listing = listed(path, "item")
        assert listing.identifiers is None
        assert f"there is no column 'item'{among}, so images are identified by their names" in listing.notices
        assert not any("column 'item'" in notice for notice in listed(path, None).notices)


def test_a_column_that_no_dataset_has_is_refused_with_those_there_are(folder):
    import pyarrow
    import pyarrow.parquet

    (folder / "list.csv").write_text("path;label;QID\na.jpg;x;Q1\n")
    pyarrow.parquet.write_table(pyarrow.table({"path": ["b.jpg"], "item": ["Q1"]}), folder / "list.parquet")
    given = {"one": folder / "list.csv", "two": folder / "list.parquet", "three": folder}
    with pytest.raises(ConfigError, match="one has path, label, QID; two has path, item; name one of them"):
        overlens.analyze(given, identifier_column="Q", output=folder.with_name(f"{folder.name}-out"))
    assert not (folder.with_name(f"{folder.name}-out")).exists()
