"""Predictions find their dataset, images and classes, or are refused with the line."""

from pathlib import Path

import pytest

from overlens.errors import ConfigError, DatasetError
from overlens.records import Failure, Features
from overlens.sources.predictions import PredictionSpec, assign_predictions, parse_predictions, read_predictions

EXTENSIONS = frozenset({".jpg", ".png"})
ONE = Features(
    "one",
    ("a.jpg", "b/c.PNG", "d", "e.jpg", "e.png"),
    ("n1", "n2", "n1", None, "n3"),
    class_names={"n1": "Sea lion", "n2": "crane", "n4": "crane"},
    failures=(Failure("one", "broken.jpg", "why"),),
)
TWO = Features("two", ("a.jpg", "x", "y"), ("q", "q", "r"))


@pytest.fixture
def write(tmp_path):
    def made(text, name="model.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return made


@pytest.fixture
def assign(write):
    def made(text, dataset=None, features=(ONE, TWO)):
        table = read_predictions(PredictionSpec(write(text), dataset), [one.dataset for one in features])
        return assign_predictions(table, features, EXTENSIONS)

    return made


def test_images_and_classes_are_found_as_people_write_them(assign):
    (found,), notices = assign("image,predicted,score\na,SEA_LION,0.5\nb/c.PNG,n1,\nd.jpg,N1,-3\ne.png,n9,1e3\n")
    assert (found.model, found.dataset) == ("model", "one")
    assert found.predicted == ("n1", "n1", "n1", None, "n9")
    assert found.scores == (0.5, None, -3.0, None, 1000.0)
    assert (found.n_rows, found.n_predicted, found.n_not_in_dataset, found.n_unknown_class) == (4, 4, 0, 1)
    assert notices == (
        "predictions of model for one: 1 of 4 predictions of a class that the dataset does not have, counted as wrong "
        "(first: 'n9')",
    )


def test_what_is_not_there_is_counted_and_told(assign):
    (found,), notices = assign("image,predicted\nb/c,n2\ne.jpg,n1\nbroken.jpg,n1\nnew,n1\n")
    assert found.predicted == (None, "n2", None, "n1", None)
    assert (found.n_rows, found.n_not_in_dataset) == (4, 2)
    assert [notice.removeprefix("predictions of model for one: ") for notice in notices] == [
        "2 of 4 rows name images that the dataset lacks, left out (first: 'broken.jpg'; 1 of its images failed)",
        "3 of 4 labelled images without a prediction, left out",
        "1 of 2 predictions for images without a class",
    ]


def test_the_dataset_is_stated_by_the_option_the_row_or_most_images(assign):
    text = "image,predicted\na.jpg,n1\nd,n1\ne.png,n1\nx,n1\n"
    assert [one.dataset for one in assign(text)[0]] == ["one"]
    assert [one.dataset for one in assign("image,predicted\na.jpg,q\nx,r\n", "two")[0]] == ["two"]
    both, _ = assign("image,predicted,dataset\na,n1,one\na,r,two\nd,n2,\n")
    assert [(one.dataset, one.predicted, one.n_rows) for one in both] == [
        ("one", ("n1", None, "n2", None, None), 2),
        ("two", ("r", None, None), 1),
    ]


def test_the_order_of_rows_makes_no_difference(assign):
    rows = ["a,n1,0.1", "b/c,n2,0.2", "d,n3,0.3", "e.png,n3,"]
    head = "image,predicted,score\n"
    assert assign(head + "\n".join(rows)) == assign(head + "\n".join(rows[::-1]))


def test_a_class_is_found_by_its_spelling_before_its_folded_form(assign):
    letters = Features("one", ("1", "2"), ("A", "a"))
    assert assign("image,predicted\n1,a\n2,A\n", features=(letters,))[0][0].predicted == ("a", "A")


@pytest.mark.parametrize(
    ("text", "dataset", "error", "says"),
    [
        ("image,label\na,n1\n", None, ConfigError, "no column predicted"),
        ("image,predicted\n", None, ConfigError, "holds no prediction"),
        ("image,predicted\na,\n", None, ConfigError, "line 2 has the image 'a' and the predicted class ''"),
        ("image,predicted,score\na,n1,high\n", None, ConfigError, "line 2 has the score 'high'"),
        ("image,predicted,score\na,n1,nan\n", None, ConfigError, "line 2 has the score 'nan'"),
        ("image,predicted\na,n1\na,n1\n", None, ConfigError, "'a' in line 2 and again in line 3"),
        ("image,predicted\nd,n1\na,n1\na.jpg,n1\n", None, DatasetError, "'a.jpg' in line 3 and again in line 4"),
        ("image,predicted\ne,n1\n", None, DatasetError, "'e' in line 2 may be 'e.jpg' or 'e.png'"),
        ("image,predicted\na,crane\n", "one", DatasetError, "'crane' in line 2 may be 'n2' or 'n4'"),
        ("image,predicted\nzz,n1\n", None, DatasetError, "names no image of one or two .*such as 'a.jpg'"),
        ("image,predicted\nx,n1\n", "one", DatasetError, "names no image of one"),
        ("image,predicted\na,n1\n", None, DatasetError, "fits one and two alike, with 1 image in each.*one="),
        ("image,predicted\na,17\nd,18\n", "one", DatasetError, "predicts no class of one .*such as 'n1'"),
        ("image,predicted,dataset\na,n1,three\n", None, ConfigError, "'three'; the datasets of this run are one, two"),
        ("image,predicted,dataset\na,n1,two\n", "one", ConfigError, "given for 'one'"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(assign, text, dataset, error, says):
    with pytest.raises(error, match=says):
        assign(text, dataset)


def test_a_dataset_without_classes_cannot_be_scored(assign):
    with pytest.raises(DatasetError, match="no image has a class"):
        assign("image,predicted\na,n1\n", features=(Features("one", ("a",), (None,)),))


def test_files_are_models_by_their_names(write):
    first, second = write("", "first.csv"), write("", "second.v2.csv")
    specs = parse_predictions([f"one={first}", str(second)], ["one"])
    assert [(one.model, one.dataset) for one in specs] == [("first", "one"), ("second.v2", None)]
    odd = write("", "one=x.csv")
    assert parse_predictions([str(odd)], ["one"])[0] == PredictionSpec(odd)
    with pytest.raises(ConfigError, match=r"three=.* is not a file"):
        parse_predictions([f"three={first}"], ["one"])
    (first.parent / "other").mkdir()
    twin = write("", "other/First.csv")
    with pytest.raises(ConfigError, match="rename one"):
        parse_predictions([str(first), str(twin)], ["one"])
    with pytest.raises(ConfigError, match="rename one"):
        parse_predictions([str(first), str(first)], ["one"])


def test_a_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="cannot read"):
        read_predictions(PredictionSpec(tmp_path / "none.csv"), ["one"])
