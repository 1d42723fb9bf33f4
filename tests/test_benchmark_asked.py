"""What a run is given for its benchmarks is checked before the first image, and settled there."""

from pathlib import Path

import pytest

import overlens
from overlens.benchmark.asked import read_asked, tell_class_map
from overlens.cli import main
from overlens.config import DatasetSpec, RunConfig
from overlens.errors import ConfigError
from overlens.records import Features, Listing
from overlens.testing import FakeEncoder, write_pictures

OPTIONS = {"projections": "none", "method": "cosine"}


def listing(dataset: str, n: int) -> Listing:
    keys = tuple(f"{i:03d}.jpg" for i in range(n))
    return Listing(dataset, keys, tuple(map(Path, keys)), tuple("cat" if i % 2 else "dog" for i in range(n)), "labels")


def config(**options) -> RunConfig:
    return RunConfig((DatasetSpec("a", Path("a")), DatasetSpec("b", Path("b"))), **options)


def test_images_that_fail_later_do_not_move_predictions_to_another_dataset(tmp_path: Path):
    table = tmp_path / "model.csv"
    table.write_text("image,predicted\n" + "".join(f"{i:03d}.jpg,cat\n" for i in range(100)))
    asked = read_asked(config(predictions=(str(table),)), [listing("a", 100), listing("b", 98)])
    assert {row.dataset for row in asked.predictions[0].rows} == {"a"}


def test_a_line_of_the_class_map_that_names_no_class_is_told(tmp_path: Path):
    table = tmp_path / "map.csv"
    table.write_text("class,name\ncat,feline\nHund,dog\n")
    asked = read_asked(config(class_map=table), [])
    features = [Features(one.dataset, one.keys, one.labels) for one in (listing("a", 4), listing("b", 4))]
    (told,) = tell_class_map(asked, features)
    assert "Hund" in told and "cat" not in told


def test_a_class_map_that_is_not_there_is_wrong_usage(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"--class-map .*none.csv is not a file"):
        read_asked(config(class_map=tmp_path / "none.csv"), [])


MAP, TABLE = "--class-map", "--predictions"


@pytest.mark.parametrize(
    ("option", "text", "says"),
    [
        (MAP, None, "is not a file; give a CSV with the columns class and name"),
        (MAP, "", "is empty; the first line must name the columns class and name"),
        (MAP, "cat,feline\n", "no column class and name: its first line is 'cat', 'feline'"),
        (MAP, "class;name\ncat;feline\n", "with commas between"),
        (MAP, "class,name\ncat,feline\ncat,pet\n", "both 'feline' and 'pet' (line 3); keep one"),
        (MAP, "class,name,dataset\ncat,feline,c\n", "line 2 names the dataset 'c'; the datasets of this run are a, b"),
        (TABLE, None, "is not a file; give a CSV file, or NAME=FILE"),
        (TABLE, "", "is empty; the first line must name the columns image and predicted"),
        (TABLE, "000.png,cat\n", "no column image and predicted: its first line is '000.png', 'cat'"),
        (TABLE, "Image;Predicted\n000.png;cat\n", "its first line is 'Image;Predicted'"),
        (TABLE, "image,predicted\n", "holds no prediction"),
        (TABLE, "image,predicted\nx,cat\nx,cat\n", "'x' in line 2 and again in line 3; keep one"),
        (TABLE, "image,predicted\nx,cat\n", "names no image of a or b (first: 'x')"),
    ],
)
def test_a_file_that_cannot_be_used_is_wrong_usage_told_in_one_line_before_the_first_image(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, text: str | None, says: str
):
    table = tmp_path / "table.csv"
    if text is not None:
        table.write_text(text)
    for name in "ab":
        write_pictures(tmp_path / name, range(3))
    datasets = [f"--datasets={name}={tmp_path / name}" for name in "ab"]
    ends = [f"--output={tmp_path / 'out'}", "--method=perceptual", "--projections=none", "--evaluate-cross-dataset"]
    with pytest.raises(SystemExit) as stopped:
        main(["compute", *datasets, *ends, "--clip-model=offline", option, str(table)])
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert (stopped.value.code, line[:7]) == (2, "Error: ")
    assert says in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "with a byte-order mark"])
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["line feeds", "carriage returns"])
def test_files_of_other_systems_are_read(tmp_path: Path, mark: str, end: str):
    table = tmp_path / "model.csv"
    rows = ["Image,Predicted,score", "000.jpg,cat,0.5", "001.jpg,dog,"]
    table.write_bytes((mark + "".join(row + end for row in rows)).encode())
    asked = read_asked(config(predictions=(f"a={table}",)), [listing("a", 4), listing("b", 4)])
    found = [(row.image, row.predicted, row.score) for row in asked.predictions[0].rows]
    assert found == [("000.jpg", "cat", 0.5), ("001.jpg", "dog", None)]


def test_a_dataset_without_classes_can_be_held_out(tmp_path: Path):
    write_pictures(tmp_path / "labelled", range(24))
    write_pictures(tmp_path / "flat", range(6), classes=("all",))
    datasets = {"labelled": tmp_path / "labelled", "flat": tmp_path / "flat" / "all"}
    given = {"generate_few_shot": True, "n_episodes": 3, "held_out": "flat", "encoder": FakeEncoder(), **OPTIONS}
    result = overlens.analyze(datasets, output=tmp_path / "out", **given)
    (splits,) = result.few_shot
    assert splits.n_crossing == 0 and splits.left_out.held_out == 6
    searched = splits.drawn[0].certificate.basis["searched"]
    assert searched["flat"] == {"attempted": 6, "kept": 6, "failed": 0, "low_information": 0}


def test_classes_that_cannot_be_long_enough_are_an_error_before_the_first_image(tmp_path: Path):
    write_pictures(tmp_path / "one", range(6))
    encoder = FakeEncoder()
    given = {"generate_few_shot": True, "short_classes": "error", "k_shots": 5, "encoder": encoder, **OPTIONS}
    with pytest.raises(ConfigError, match="3 of 3 classes have fewer than 6 pictures for 5-shot"):
        overlens.analyze({"one": tmp_path / "one"}, output=tmp_path / "out", **given)
    assert encoder.n_encoded == 0


def test_where_no_split_can_be_drawn_there_is_no_lock(tmp_path: Path):
    write_pictures(tmp_path / "one", range(6))
    given = {"generate_few_shot": True, "k_shots": 50, "encoder": FakeEncoder(), **OPTIONS}
    result = overlens.analyze({"one": tmp_path / "one"}, output=tmp_path / "out", **given)
    assert "one: no split could be drawn, so there is none, and no lock" in result.notices
    assert not list((tmp_path / "out").rglob("splits.lock"))
