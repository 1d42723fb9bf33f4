"""The file of a class map is read as it is written, and refused with the line where it is wrong."""

import pytest

from overlens.errors import ConfigError
from overlens.sources.class_map import read_class_map


@pytest.fixture
def write(tmp_path):
    def made(text):
        path = tmp_path / "map.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return made


def test_rows_name_classes_of_one_dataset_or_of_all(write):
    found = read_class_map(write("\ufeffName, CLASS ,remark,dataset\nPaul,11H(PAUL),x,\nPaul,p1,y,a\n\n"), ["a", "b"])
    assert dict(found.names) == {("", "11H(PAUL)"): "Paul", ("a", "p1"): "Paul"}
    assert found.source == "map.csv"
    assert found.name_of("b", "11h(paul)") == "Paul"
    assert (found.name_of("a", "p1"), found.name_of("b", "p1")) == ("Paul", None)


def test_without_a_dataset_column_every_dataset_is_meant_and_a_row_may_be_repeated(write):
    found = read_class_map(write('class,name\n"a, b",AB\n"a, b",AB\n'), ["x"])
    assert dict(found.names) == {("", "a, b"): "AB"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "class,label\na,b\n",
            "no column name: its first line is 'class', 'label'; the first line must name the columns class and name",
        ),
        ("", "map.csv is empty; the first line must name the columns class and name"),
        ("class;name\na;b\n", "with commas between"),
        ("class,name,Class\na,b,c\n", "the column class twice"),
        ("class,name\n", "names no class"),
        ("class,name\na,b\na,c\n", r"'a' of every dataset both 'b' and 'c' \(line 3\)"),
        ("class,name,dataset\na,b,x\na,c,x\n", r"'a' of x both 'b' and 'c' \(line 3\)"),
        ("class,name\na,\n", "line 2 has the class 'a' and the name ''"),
        ('class,name\n"a,b\n', "line 2: .* close every quote"),
        ("class,name\na\n", "line 2: 1 fields where the header has 2"),
        (
            "class,name,dataset\n\na,b,z\n",
            "line 3 names the dataset 'z'; the datasets of this run are x, y",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(write, text, says):
    with pytest.raises(ConfigError, match=says):
        read_class_map(write(text), ["x", "y"])


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot read"):
        read_class_map(tmp_path / "none.csv", ["x"])
