"""`overlens check --splits`: whether today's images still give the splits of a lock, as another machine meets it."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import overlens.check_splits
from overlens.check_splits import check_splits
from overlens.cli import main
from overlens.config import DatasetSpec, FewShotConfig
from overlens.digests import digest_file
from overlens.fewshot.digested import DigestedImages
from overlens.fewshot.draw import draw_splits
from overlens.fewshot.lock import LabelOrigin, Lock, make_lock
from overlens.fewshot.pictures import KnownCopies, LabelledImages
from overlens.groups.find import NO_GROUP
from overlens.layout import AnalysisLayout
from overlens.records import Features
from overlens.sources import list_images
from overlens.split_files import write_lock, write_splits

CONFIG = FewShotConfig(k_shots=(1, 3), n_classes=2, n_seeds=2, n_episodes=5)
SIZES = {"cat": 12, "dog": 9, "eel": 7}


def publish(images: Path, folder: Path, config: FewShotConfig = CONFIG, root: Path | None = None) -> Path:
    """Write the splits of a folder of images, and return their lock.

    The images `cat/0` and `cat/1` are copies of one another, `eel/0` is one of an image in a dataset held out.
    """
    spec = DatasetSpec("photo", images if root is None else None)
    listing = list_images(spec, root or Path(), use_ground_truth=False)
    keys, labels = listing.keys, listing.labels
    pictures = [key.removesuffix(".jpg") for key in keys]
    group_of = np.array([{"cat/0": 4, "cat/1": 4, "eel/0": 7}.get(one, NO_GROUP) for one in pictures], np.int32)
    copies = KnownCopies(group_of, np.array([one == "eel/0" for one in pictures]), {"encoder": "offline"})
    splits = draw_splits(LabelledImages("photo", keys, labels), config=config, copies=copies)
    rows = np.zeros((len(keys), 2), np.float32)
    layout = AnalysisLayout(folder, "photo")
    write_splits(splits, Features("photo", keys, labels, embeddings=rows), layout)
    digested = DigestedImages(keys, labels, tuple(map(digest_file, listing.paths)))
    return write_lock(
        make_lock(splits, digested, config, origin=LabelOrigin(listing.label_source), copies=copies), layout
    )


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Class folders of files; nothing here decodes one."""
    for class_id, n in SIZES.items():
        for number in range(n):
            path = tmp_path / "photos" / class_id / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{class_id} {number}", encoding="utf-8")
    return tmp_path / "photos"


@pytest.fixture
def lock(photos: Path, tmp_path: Path) -> Path:
    return publish(photos, tmp_path / "out")


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as done:
            main(["check", *map(str, arguments)])
        printed = capsys.readouterr()
        return done.value.code, printed.out, printed.err

    return run


def found(run: Run, lock: Path, photos: Path) -> tuple[int, dict[str, object]]:
    status, out, _ = run("--splits", lock, "--datasets", f"photo={photos}", "--json")
    return status, json.loads(out)["locks"][0]


# ---- the same ----


def test_the_same_images_elsewhere_give_the_same_splits(run: Run, lock: Path, photos: Path, tmp_path: Path):
    shutil.copytree(photos, tmp_path / "other machine")
    alone = shutil.copy(lock, tmp_path / "splits.lock")
    status, out, err = run("--splits", alone, "--datasets", f"photo={tmp_path / 'other machine'}")
    assert status == 0
    assert "photo: 16 of 16 splits are the same" in out and "files beside" not in out
    assert "were not searched again" in out and "28 of 28 images" in err
    status, out, _ = run("--splits", lock.parent, "--datasets", f"photo={photos}")
    assert status == 0 and "files beside the lock: 16 of 16 hold what it says" in out


def test_the_documented_layout_needs_no_path(run: Run, photos: Path, tmp_path: Path):
    images = tmp_path / "root/dataset/photo/JPEGImages"
    shutil.copytree(photos, images)
    lock = publish(images, tmp_path / "root", root=tmp_path / "root")
    status, out, _ = run("--splits", lock, "--root", tmp_path / "root")
    assert status == 0 and "16 of 16" in out


def test_several_locks_are_checked_in_one_go(run: Run, lock: Path, photos: Path, tmp_path: Path):
    other = publish(photos, tmp_path / "other", replace(CONFIG, seed=9, short_classes="fewer"))
    status, out, _ = run("--splits", lock, "--splits", other, "--datasets", f"photo={photos}", "--json")
    content = json.loads(out)
    assert status == 0 and content["same"] and [one["n_same"] for one in content["locks"]] == [16, 16]


def test_the_order_of_the_folder_plays_no_part(lock: Path, photos: Path, monkeypatch: pytest.MonkeyPatch):
    def shuffled(*arguments: object, **options: object) -> object:
        listing = list_images(*arguments, **options)
        order = np.random.default_rng(3).permutation(len(listing.keys))
        columns = {name: tuple(getattr(listing, name)[i] for i in order) for name in ("keys", "paths", "labels")}
        return replace(listing, **columns)

    monkeypatch.setattr(overlens.check_splits, "list_images", shuffled)
    assert check_splits(lock, DatasetSpec("photo", photos), Path()).is_same


def test_a_file_that_was_no_image_then_is_not_new_now(run: Run, lock: Path, photos: Path):
    broken = photos / "cat/broken.jpg"
    broken.write_text("no image", encoding="utf-8")
    assert found(run, lock, photos)[1]["images"]["new"] == ["cat/broken.jpg"]
    content = json.loads(lock.read_text("utf-8"))
    known = Lock.from_json(content)
    write_lock(replace(known, unusable=(digest_file(broken),)), AnalysisLayout(lock.parents[4], "photo"))
    status, content = found(run, lock, photos)
    assert status == 0 and content["images"]["new"] == [] and content["images"]["n_today"] == 28


# ---- not the same ----


def missing(photos: Path) -> None:
    (photos / "dog/3.jpg").unlink()


def added(photos: Path) -> None:
    (photos / "dog/99.jpg").write_text("another", encoding="utf-8")


def changed(photos: Path) -> None:
    (photos / "dog/3.jpg").write_text("recompressed", encoding="utf-8")


def moved(photos: Path) -> None:
    (photos / "dog/3.jpg").rename(photos / "cat/dog3.jpg")


def renamed(photos: Path) -> None:
    (photos / "dog/3.jpg").rename(photos / "dog/third.jpg")


@pytest.mark.parametrize(
    ("change", "kind", "expected", "words"),
    [
        (missing, "missing", 1, "1 missing"),
        (added, "new", ["dog/99.jpg"], "1 new"),
        (changed, "changed", ["dog/3.jpg"], "1 changed"),
        (moved, "relabelled", [{"name": "cat/dog3.jpg", "class": "cat", "class_in_lock": "dog"}], "1 in another class"),
        (renamed, "renamed", ["dog/third.jpg"], "1 under another name"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_not_as_it_was_is_named(
    run: Run, lock: Path, photos: Path, change: Callable[[Path], None], kind: str, expected: object, words: str
):
    change(photos)
    status, content = found(run, lock, photos)
    kinds = {name: value for name, value in content["images"].items() if isinstance(value, list) and value}
    assert list(kinds) == [kind]
    if kind == "missing":
        assert [one["class"] for one in kinds[kind]] == ["dog"] and len(kinds[kind][0]["sha256"]) == 64
    else:
        assert kinds[kind] == expected
    status, _, err = run("--splits", lock, "--datasets", f"photo={photos}")
    if status == 0:
        assert content["n_same"] == content["n_splits"], "a change that no draw sees"
    else:
        assert status == 1 and content["n_same"] < content["n_splits"]
        assert words in err and "of 16 splits differ" in err and len(err.strip().splitlines()) == 2


def test_each_of_these_changes_splits_of_a_dataset_that_is_drawn_whole(run: Run, photos: Path, tmp_path: Path):
    """All classes are in every split, so every image is in one of its parts."""
    lock = publish(
        photos, tmp_path / "whole", FewShotConfig(k_shots=(1,), n_classes=3, n_seeds=1, strategies=("random",))
    )
    for number, change in enumerate((missing, added, changed, moved, renamed)):
        copy = tmp_path / f"copy {number}"
        shutil.copytree(photos, copy)
        change(copy)
        status, content = found(run, lock, copy)
        assert (status, content["n_same"]) == (1, 0) or change is renamed, change.__name__


def test_copies_and_held_out_pictures_are_taken_from_the_lock(lock: Path, photos: Path, monkeypatch):
    checked = check_splits(lock, DatasetSpec("photo", photos), Path())
    assert checked.is_same
    monkeypatch.setattr(overlens.check_splits, "_copies_of", lambda *_: None)
    assert not check_splits(lock, DatasetSpec("photo", photos), Path()).is_same


def test_an_equal_file_that_is_new_is_a_copy_of_the_other(lock: Path, photos: Path):
    """It joins the group of `cat/0` and `cat/1`; a further copy changes no number of pictures."""
    shutil.copy(photos / "cat/0.jpg", photos / "cat/zero.jpg")
    checked = check_splits(lock, DatasetSpec("photo", photos), Path())
    assert [checked.images.keys[i] for i in checked.matched.new] == ["cat/zero.jpg"]
    again = overlens.check_splits._draw_again(checked.lock, checked.images, checked.matched)[0]
    assert again.keys() == {split.file for split in checked.lock.splits}


def test_names_without_extension_are_explained(run: Run, photos: Path, tmp_path: Path):
    root = tmp_path / "root"
    shutil.copytree(photos, root / "dataset/photo/JPEGImages")
    data = root / "dataset/photo-data"
    data.mkdir()
    names = [path.relative_to(photos).with_suffix("").as_posix() for path in sorted(photos.glob("*/*.jpg"))]
    (data / "2_test.txt").write_text("\n".join(names), encoding="utf-8")
    lock = publish(photos, root, root=root)
    assert run("--splits", lock, "--root", root)[0] == 0
    status, content = found(run, lock, photos)
    assert status == 1 and len(content["images"]["renamed"]) == 28
    assert content["images"]["renaming"] == "in the lock they have no extension"
    out = run("--splits", lock, "--datasets", f"photo={photos}")[1]
    assert "draws go by names" in out and "in the lock they have no extension" in out


def test_too_few_images_to_draw_is_a_difference_and_no_wrong_usage(run: Run, photos: Path, tmp_path: Path):
    lock = publish(photos, tmp_path / "out", replace(CONFIG, short_classes="error"))
    for number in range(2, SIZES["eel"]):
        (photos / "eel" / f"{number}.jpg").unlink()
    status, _, err = run("--splits", lock, "--datasets", f"photo={photos}")
    assert status == 1 and "16 of 16 splits differ" in err and "nothing can be drawn" in err


def test_files_beside_the_lock_must_hold_what_it_says(run: Run, lock: Path, photos: Path):
    path = next(lock.parent.glob("random_3shot*seed0.json"))
    content = json.loads(path.read_text("utf-8"))
    content["names"][0], content["names"][1] = content["names"][1], content["names"][0]
    path.write_text(json.dumps(content), encoding="utf-8")
    next(lock.parent.glob("episodic_1shot*seed0.json")).write_text("[", encoding="utf-8")
    next(lock.parent.glob("stratified_1shot*seed0.json")).unlink()
    status, out, err = run("--splits", lock, "--datasets", f"photo={photos}")
    assert status == 1
    assert "16 of 16 splits are the same" in out and "13 of 15 hold what it says" in out
    assert f"{path.name}: it holds other images, classes or parts" in out
    assert "it is not a split as overlens writes it" in out
    assert "2 files beside the lock do not hold what it says" in err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("OWN", ""),
        ('{"splits_lock_sha256": "0"}', "it was measured on the splits of another lock, or of none"),
        ('{"splits_lock_sha256": null}', "it was measured on the splits of another lock, or of none"),
        ('{"results": []}', "it does not say on which splits it was measured"),
        ("[", "it does not say on which splits it was measured"),
    ],
    ids=["of these splits", "of others", "of none", "without digest", "cut"],
)
def test_seed_variance_beside_the_lock_must_be_of_its_splits(
    run: Run, lock: Path, photos: Path, content: str, words: str
):
    own = json.loads(lock.read_text("utf-8"))["sha256"]
    path = lock.parent / "seed_variance.json"
    path.write_text(content.replace("OWN", json.dumps({"splits_lock_sha256": own})), encoding="utf-8")
    status, told = found(run, lock, photos)
    assert told["files"] == {"n_beside_lock": 16, "wrong": {path.name: words} if words else {}}
    assert status == (1 if words else 0)
    _, out, err = run("--splits", lock, "--datasets", f"photo={photos}")
    assert "16 of 16 hold what it says" in out and words in out
    assert ("1 file beside the lock does not hold what it says, such as seed_variance.json" in err) == bool(words)


# ---- wrong usage ----


def test_wrong_usage_is_told_in_one_line_and_ends_with_2(run: Run, lock: Path, photos: Path, tmp_path: Path):
    named = f"photo={photos}"
    damaged = tmp_path / "damaged.lock"
    damaged.write_text(lock.read_text("utf-8").replace('"cat"', '"cow"', 1), encoding="utf-8")
    cut = tmp_path / "cut.lock"
    cut.write_text(lock.read_text("utf-8")[:500], encoding="utf-8")
    split = next(lock.parent.glob("random*.json"))
    for arguments, message in (
        ([], "no lock is named"),
        (["--splits", tmp_path / "none.lock"], "there is no file"),
        (["--splits", tmp_path], "there is no file"),
        (["--splits", split], "is not the lock of few-shot splits; give the file splits.lock"),
        (["--splits", damaged, "--datasets", named], "is damaged"),
        (["--splits", cut, "--datasets", named], "is no JSON"),
        (["--splits", lock, "--datasets", f"photos={photos}"], f"of photo: write --datasets photo={photos}"),
        (["--splits", lock, "--datasets", photos], f"has no name; write --datasets photo={photos}"),
        (["--splits", lock, "--datasets", f"photo={tmp_path / 'no'}"], "does not exist"),
        (["--splits", lock, "--datasets", named, "--datasets", named], "named twice"),
        (["--splits", lock, "--root", tmp_path], "dataset 'photo' is not at"),
        ([lock], "unexpected extra argument"),
    ):
        status, out, err = run(*arguments)
        assert status == 2 and message in err and not out, (arguments, err)


def test_a_lock_of_another_version_is_refused(run: Run, lock: Path, photos: Path):
    known = Lock.from_json(json.loads(lock.read_text("utf-8")))
    write_lock(replace(known, rule_version=99, overlens="9.9"), AnalysisLayout(lock.parents[4], "photo"))
    status, out, err = run("--splits", lock, "--datasets", f"photo={photos}")
    assert status == 1 and not out and "version 99 of the rule of the draw" in err and "overlens 9.9" in err


def test_a_lock_that_passed_through_an_editor_is_still_one(run: Run, lock: Path, photos: Path):
    text = "\ufeff" + json.dumps(json.loads(lock.read_text("utf-8")), indent=4).replace("\n", "\r\n")
    lock.write_bytes(text.encode())
    assert run("--splits", lock, "--datasets", f"photo={photos}")[0] == 0
