"""`overlens dedupe` as a user meets it."""

import csv
import json
from pathlib import Path

import pytest

from overlens.cli import main
from overlens.testing import encode_picture, make_picture


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    """Two folders that share the pictures 2 and 3, one of them with a twin in its own folder."""
    for name, seeds in {"train": (0, 1, 2, 3, 3), "test": (2, 3, 4)}.items():
        (tmp_path / name).mkdir()
        for number, seed in enumerate(seeds):
            (tmp_path / name / f"{number}.png").write_bytes(encode_picture(make_picture(seed, 200, 150)))
    named = [word for name in ("train", "test") for word in ("--datasets", f"{name}={tmp_path / name}")]
    return ["dedupe", *named, "--method", "perceptual", "--output", str(tmp_path / "out")]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as done:
        main(arguments)
    printed = capsys.readouterr()
    return done.value.code, printed.out, printed.err


def test_a_dry_run_says_what_would_go_and_writes_no_list(options: list[str], capsys, tmp_path: Path):
    status, out, _ = run(capsys, *options, "--reference", "test")
    assert status == 0
    rows = [line.split() for line in out.splitlines()]
    assert ["train", "5", "0", "3", "3", "0", "0", "0", "2"] in rows
    assert ["test", "3", "0", "0", "0", "0", "0", "0", "3"] in rows
    assert "train '2.png', a copy of test '0.png' (same bytes)" in out
    assert "Audit: what would remain was searched, 1 time; verified copies that would be left: 0." in out
    assert "Dry run" in out
    assert not (tmp_path / "out/dataset/cross/cleaned").exists()


def test_applied_it_writes_and_what_remains_has_nothing_to_remove(options: list[str], capsys, tmp_path: Path):
    status, out, _ = run(capsys, *options, "--apply", "--keep", "first")
    assert status == 0
    cleaned = tmp_path / "out/dataset/cross/cleaned"
    with (cleaned / "removed.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 3
    shown = [line.partition("--datasets ")[2] for line in out.splitlines() if "--datasets" in line]
    assert [one.partition("=")[0] for one in shown] == ["train", "test"]
    named = [word for one in shown for word in ("--datasets", one)]
    again = ["dedupe", *named, "--method", "perceptual", "--output", str(tmp_path / "again")]
    status, out, _ = run(capsys, *again)
    assert status == 0 and "Nothing to remove" in out
    status, out, _ = run(capsys, *again, "--json")
    assert json.loads(out)["n_removed"] == 0


def test_names_are_whole_and_an_empty_dataset_is_not_offered(capsys, tmp_path: Path):
    """All of the second dataset are in the first, whose name is long."""
    long = "photographs_of_a_collection_whose_name_does_not_end_soon"
    for name, seeds in {long: (0, 1, 2), "sub": (1,)}.items():
        (tmp_path / name).mkdir()
        for seed in seeds:
            (tmp_path / name / f"{seed}.png").write_bytes(encode_picture(make_picture(seed, 200, 150)))
    named = [word for name in (long, "sub") for word in ("--datasets", f"{name}={tmp_path / name}")]
    arguments = ["dedupe", *named, "--method", "perceptual", "--output", str(tmp_path / "out"), "--apply"]
    status, out, _ = run(capsys, *arguments)
    assert status == 0
    assert [long, "3", "0", "0", "0", "0", "0", "0", "3"] in [line.split() for line in out.splitlines()]
    assert "Nothing remains of sub" in out and "--datasets sub=" not in out and f"--datasets {long}=" in out


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_failed_audit_is_told_and_leaves_earlier_lists(
    options: list[str], capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import overlens.dedupe.settle

    def find_nothing_to_remove(groups, edges, rule):
        return plan_removal(groups, edges, rule if rule.across_only else type(rule)(rule.reference, across_only=True))

    # A planner that overlooks copies within a dataset: the audit must not.
    plan_removal = overlens.dedupe.settle.plan_removal
    monkeypatch.setattr("overlens.dedupe.settle.plan_removal", find_nothing_to_remove)
    cleaned, failed = (tmp_path / "out/dataset/cross" / name for name in ("cleaned", "failed-audit"))
    options += ["--reference", "test", "--apply"]
    status, _, err = run(capsys, *options)
    assert status == 0, "all of them are in the reference, so they go anyway"
    good = contents(cleaned)
    assert len(good) == 6 and not failed.exists()

    (tmp_path / "train/9.png").write_bytes((tmp_path / "train/0.png").read_bytes())
    for _ in range(2):
        status, out, err = run(capsys, *options)
        assert status == 1
        assert "1 verified pair is left after 5 rounds" in err and "train '0.png' and train '9.png' (same_bytes)" in err
        assert f"{cleaned}: what an earlier run wrote stays" in err and f"Failed audit: {failed / 'audit.json'}" in out
        assert "--datasets" not in out, "what an earlier run found to remain is not offered as what remains now"
        assert contents(cleaned) == good and set(contents(failed)) == {"removed.csv", "audit.json"}
    audit = json.loads((failed / "audit.json").read_text(encoding="utf-8"))
    assert not audit["passed"] and audit["left"] == [["train", "0.png", "train", "9.png", "same_bytes", 1.0]]
    assert any("what an earlier run wrote stays" in notice for notice in audit["notices"])

    monkeypatch.setattr("overlens.dedupe.settle.plan_removal", plan_removal)
    assert run(capsys, *options)[0] == 0
    assert contents(cleaned)["removed.csv"] != good["removed.csv"]
    assert not [path for path in cleaned.parent.iterdir() if "audit" in path.name]


@pytest.mark.parametrize(
    ("more", "status", "message"),
    [
        (["--reference", "tset"], 2, "--reference 'tset' is not known; allowed: train, test"),
        (["--keep", "best"], 2, "'best' is not one of"),
        (["--from-embeddings"], 2, "--from-embeddings reads no images, and only copies whose pictures"),
        (["--no-verify"], 2, "only verified copies are removed"),
    ],
)
def test_wrong_requests_are_answered_in_a_line(
    more: list[str], status: int, message: str, options: list[str], capsys: pytest.CaptureFixture[str]
):
    found, out, err = run(capsys, *options, *more)
    assert (found, out) == (status, "") and message in err


def test_images_that_cannot_be_read_are_told_with_their_list(options: list[str], capsys, tmp_path: Path):
    (tmp_path / "train" / "broken.png").write_bytes(b"\x89PNG and no more")
    (tmp_path / "train" / "gone.png").symlink_to("nowhere.png")
    status, out, err = run(capsys, *options, "--max-failures", "50%")
    lists = tmp_path / "out" / "dataset" / "train-data" / "analysis" / "failures.csv"
    assert status == 0 and f"2 images of train failed, each listed with the reason: {lists}\n" in out
    assert "Features of train: 7 of 7 images, 2 failed, " in err
    assert "broken.png" in lists.read_text()
