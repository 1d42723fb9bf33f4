"""The benchmark of speed: does it compare what it says, and does a rival that fails stay a row?"""

import json
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from speed.agreement import compare_hashes, compare_pairs
from speed.cases import CASES
from speed.growth import Growth
from speed.race import Worker, WorkerError, make_data
from speed.records import MAIN, OVERLENS, Answer, Case, CaseResult, Comparison, Data, Side, SideResult, Target, Workshop
from speed.report import digits, judge, tell_case, tell_slower
from speed.rivals import REQUIREMENTS, read_requirements
from speed.sides.pairs import PairFile
from speed.sides.whole import DECLARED_OPERATORS, save_names

BENCH = Path(__file__).resolve().parents[1] / "benchmarks" / "bench.py"


def bench(folder: Path, rivals: Path, *names: str) -> str:
    """Run tiny cases and return the page."""
    places = [f"--rivals={rivals}", f"--work={folder / 'work'}", f"--output={folder}"]
    chosen = [f"--only={name}" for name in names]
    done = subprocess.run(
        [sys.executable, BENCH, "--quick", *places, *chosen], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return (folder / "RESULTS.md").read_text()


def row(page: str, side: str) -> list[str]:
    """Return the cells of the row of one side."""
    line = next(line for line in page.splitlines() if line.startswith(f"| {side} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def make_rivals(folder: Path, script: str) -> Path:
    """Make an environment whose interpreter is a shell script."""
    python = folder / "rivals" / MAIN / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    return folder / "rivals"


def test_sides_agree_and_a_missing_environment_is_a_row(tmp_path):
    page = bench(tmp_path, tmp_path / "none", "cosine", "hamming")
    assert re.fullmatch(r"the same \d+ pairs", row(page, "numpy in blocks")[5])
    assert "there is no environment 'main'" in row(page, "faiss IndexFlatIP")[5]
    assert "there is no environment 'main'" in row(page, "faiss IndexBinaryFlat")[5]
    assert float(row(page, "overlens")[4]) > 10
    for name in ("results.png", "work/quick/results.json"):
        assert (tmp_path / name).stat().st_size > 1000


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (f'PYTHONPATH="$(dirname "$0"):$PYTHONPATH" exec "{sys.executable}" "$@"', "ImportError: no faiss for you"),
        ("exit 3", "the process ended (exit code 3)"),
    ],
    ids=["import fails", "process dies"],
)
def test_a_broken_rival_is_a_row(tmp_path, script, told):
    rivals = make_rivals(tmp_path, script)
    (rivals / MAIN / "bin" / "faiss.py").write_text('raise ImportError("no faiss for you")')
    page = bench(tmp_path, rivals, "hamming")
    faiss, ours = row(page, "faiss IndexBinaryFlat"), row(page, "overlens")
    assert faiss[1:5] == ["-"] * 4 and faiss[5].startswith("failed: ") and told in faiss[5]
    assert re.fullmatch(r"[\d,]+ pairs", ours[5])
    assert "| Pairs of 64-bit hashes | under 1/20 of faiss IndexBinaryFlat | - | not measured |" in page


def test_a_rival_that_was_not_installed_says_why(tmp_path):
    rivals = make_rivals(tmp_path, "exit 3")
    (rivals / "failed.json").write_text(json.dumps({"main/faiss-cpu": "no matching distribution", "main/x": "other"}))
    workshop = Workshop(tmp_path, rivals)
    faiss = Side("faiss", "pairs:hamming_faiss", MAIN, libraries=("faiss-cpu",))
    assert workshop.refusal(faiss) == "not installed: no matching distribution"
    assert workshop.refusal(Side("other", "pairs:hamming_faiss", MAIN)) == ""
    assert workshop.refusal(Side("ours", "pairs:hamming_overlens", OVERLENS, libraries=("faiss-cpu",))) == ""


def test_another_rival_works_in_its_environment(tmp_path):
    pytest.importorskip("skimage")
    pytest.importorskip("sklearn")
    rivals = make_rivals(tmp_path, f'exec "{sys.executable}" "$@"')  # the environment of the tests has ImageHash
    page = bench(tmp_path, rivals, "phash")
    assert row(page, "ImageHash, loop")[5] == "the same bits"
    assert "ImageHash 4.3.2" in page


def test_a_page_keeps_the_rows_of_earlier_runs(tmp_path):
    bench(tmp_path, tmp_path / "none", "hamming")
    page = bench(tmp_path, tmp_path / "none", "cosine-simple")
    assert "## Pairs of 64-bit hashes" in page and "## Cosine pairs the simple ways" in page


def test_memory_is_that_of_the_whole_process(tmp_path):
    with (tmp_path / "log").open("wb") as log, Worker(Path(sys.executable), log) as worker:
        order = {"do": "prepare", "folder": str(tmp_path), "libraries": ["numpy", "no-such-package"]}
        np.save(tmp_path / "rows.npy", np.zeros((60_000, 512), np.float32))  # 117 MB
        options = {"n": 60_000, "min_similarity": 0.9, "own": str(tmp_path), "rows_looped": 60_000}
        versions = worker.order(30, **order, function="pairs:cosine_loops", options=options)["versions"]
        assert versions == {"numpy": np.__version__, "no-such-package": "not installed"}
        options["rows_looped"] = 3
        worker.order(30, **order, function="pairs:cosine_loops", options=options)
        reply = worker.order(30, do="run")
        assert reply["seconds"] >= 0 and 117 < reply["peak_mb"] < 700
        with pytest.raises(WorkerError, match=r"no attribute 'nobody'"):
            worker.order(30, **order, function="pairs:nobody", options=options)
        worker._process.send_signal(signal.SIGSTOP)  # else it may answer before anybody looks at the clock
        with pytest.raises(WorkerError, match="not done after 0 s"):
            worker.order(0, **order, function="pairs:cosine_loops", options=options)


def save_pairs(folder: Path, name: str, n: int, pairs: list[tuple[int, int]], queries: int = 0) -> tuple[Answer, Path]:
    own = folder / name
    own.mkdir()
    with PairFile(str(own), n) as found:
        found.add(*np.array(pairs, np.int64).reshape(-1, 2).T)
    return found.answer(n_queries=queries), own


@pytest.mark.parametrize(
    ("pairs", "queries", "told"),
    [
        ([(2, 3), (0, 1), (1, 4)], 0, "the same 3 pairs"),
        ([(0, 1), (1, 0), (2, 3), (4, 1), (1, 4)], 0, "the same 3 pairs"),
        ([(0, 1), (1, 4)], 0, "2 of 3 pairs, 0 others"),
        ([(0, 1), (1, 4), (2, 3), (2, 4)], 0, "3 of 3 pairs, 1 others"),
        ([(0, 1)], 1, "the same 1 pairs"),
        ([(0, 1)], -3, "the same 1 pairs"),
        ([], 0, "0 of 3 pairs, 0 others"),
    ],
    ids=["order", "both ways", "missing", "extra", "of the first query", "among the first rows", "none"],
)
def test_pairs_are_compared_as_sets(tmp_path, pairs, queries, told):
    answers = {
        "ours": save_pairs(tmp_path, "ours", 5, [(0, 1), (2, 3), (1, 4)]),
        "theirs": save_pairs(tmp_path, "theirs", 5, pairs, queries),
    }
    assert compare_pairs(Comparison(tmp_path, {"n": 5}, answers)) == {"theirs": told}


@pytest.mark.parametrize(("second", "is_near"), [(0.9000001, True), (0.91, False)], ids=["rounding", "a real miss"])
def test_pairs_that_differ_at_the_threshold_alone_are_told(tmp_path, second, is_near):
    np.save(tmp_path / "rows.npy", np.array([[1, 0], [second, (1 - second**2) ** 0.5]], np.float32))
    answers = {
        "ours": save_pairs(tmp_path, "ours", 2, [(0, 1)]),
        "theirs": save_pairs(tmp_path, "theirs", 2, []),
    }
    told = compare_pairs(Comparison(tmp_path, {"n": 2, "min_similarity": 0.9}, answers))["theirs"]
    assert ("within 1e-06 of the threshold" in told) == is_near


def test_hashes_are_compared_bit_for_bit(tmp_path):
    rows = np.arange(24, dtype=np.uint8).reshape(3, 8)
    other = rows.copy()
    other[1, 7] ^= 1
    answers = {}
    for name, values in (("ours", rows), ("same", rows), ("other", other)):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "hashes.npy", values)
        answers[name] = Answer(files={"hashes": "hashes.npy"}), tmp_path / name
    told = compare_hashes(Comparison(tmp_path, {}, answers))
    assert told == {"same": "the same bits", "other": "2 of 3 the same bits"}


def result(**seconds: float) -> CaseResult:
    sides = tuple(SideResult(name, (value,), 100 * value) for name, value in seconds.items())
    return CaseResult("case", {"n": 10}, is_full=False, sides=sides)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (Target("", "theirs", "ours", at_least=3), (3.0, True)),
        (Target("", "theirs", "ours", at_least=3.1), (3.0, False)),
        (Target("", "ours", "theirs", at_most=0.33), (1 / 3, False)),
        (Target("", "ours", figure="peak_mb", at_most=200), (200.0, True)),
        (Target("", "ours", figure="no such", at_most=200), (None, None)),
        (Target("", "nobody", "ours", at_least=1), (None, None)),
        (Target("", "theirs", "ours", at_least=3, full_only=True), (3.0, None)),
    ],
    ids=["met", "missed", "at most", "memory", "no figure", "no side", "other size"],
)
def test_targets(target, expected):
    value, is_met = judge(target, result(ours=2.0, theirs=6.0))
    assert (value, is_met) == (pytest.approx(expected[0]), expected[1])


def test_results_survive_the_file():
    found = result(ours=2.0, theirs=6.0)
    assert CaseResult.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_the_median_and_the_range_of_rounds_are_told():
    case = Case(
        "case", "Title", "{n} rows.", (Side("ours", ""), Side("theirs", "")), {}, Data("d", print, ()), unit="rows"
    )
    ours, theirs = SideResult("ours", (4.0, 2.0, 3.0), 50), SideResult("theirs", failure="too old")
    page = tell_case(case, CaseResult("case", {"n": 12}, is_full=False, sides=(ours, theirs)))
    assert "| ours | 3.00 (2.00 to 4.00) | 4.00 | 1.00 | 50.0 |" in page
    assert "| theirs | - | - | - | - | failed: too old |" in page


def test_every_side_of_ours_that_a_rival_beats_is_told():
    names = ("overlens, fast", "overlens, slow", "overlens, part", "rival")
    sides = tuple(Side(name, "", is_part=name == "overlens, part") for name in names)
    case = Case("case", "A case", "", sides, {}, Data("d", print, ()))
    seconds = dict(zip(names, (1.0, 4.0, 9.0, 2.0), strict=True))
    told = tell_slower([(case, result(**seconds))])
    assert "* A case, of the time of overlens, slow: rival takes 50%." in told
    assert "overlens, fast" not in told and "overlens, part" not in told


@pytest.mark.parametrize("power", [1.0, 2.0], ids=["linear", "square"])
def test_the_exponent_is_that_of_the_larger_half(power):
    n = (10, 100, 1000, 2000, 4000, 8000)
    seconds = (0.04, 0.05, 0.1, *(0.1 * (rows / 1000) ** power for rows in n[3:]))
    assert Growth("", "", n, seconds).exponent == pytest.approx(power)
    assert Growth("", "", n[3:], seconds[3:]).exponent == pytest.approx(power)
    assert Growth("", "", n[:2], seconds[:2]).exponent is None


@pytest.mark.parametrize(
    "name", ["{folder}/a/1.jpg", "a/1.jpg", "{relative}/a/1.jpg"], ids=["absolute", "in the folder", "from here"]
)
def test_names_of_all_kinds_become_those_in_the_folder(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "photos"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "1.jpg").write_text("")
    given = name.format(folder=folder, relative="photos")
    save_names([(given, "b/2.jpg"), ("b/2.jpg", given), (given, given)], str(tmp_path), folder)
    assert json.loads((tmp_path / "names.json").read_text()) == [["a/1.jpg", "b/2.jpg"]]


def test_data_is_written_once_and_never_left_half_done(tmp_path):
    written: list[int] = []

    def write(folder: Path, size: dict[str, int], _: Workshop) -> None:
        written.append(size["n"])
        (folder / "part").write_text("")
        if size["n"] < 0 and len(written) == 1:
            raise KeyboardInterrupt

    data, workshop = Data("rows", write, ("n",)), Workshop(tmp_path, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        make_data(data, {"n": -1}, workshop)
    for _ in range(2):
        assert (make_data(data, {"n": -1}, workshop) / "part").exists()
    make_data(data, {"n": 5, "other": 3}, workshop)
    assert written == [-1, -1, 5]


@pytest.mark.parametrize(
    ("value", "text"), [(1234.5, "1,234"), (12.34, "12.3"), (1.234, "1.23"), (0.0123, "0.012")], ids=str
)
def test_digits(value, text):
    assert digits(value) == text


def test_every_rival_of_a_case_has_a_requirement():
    required = {
        (environment, line.split("==")[0]) for environment, _, line in read_requirements(REQUIREMENTS.read_text())
    }
    for case in CASES:
        for side in case.sides:
            if side.environment != OVERLENS:
                assert side.libraries and {(side.environment, library) for library in side.libraries} <= required


def test_targets_name_sides_that_exist():
    for case in CASES:
        names = {side.name for side in case.sides}
        assert len(names) == len(case.sides)
        assert {target.over for target in case.targets} | {target.of for target in case.targets} <= names | {""}
        assert {"quick", "usual"} <= set(case.sizes)
        for scale in case.sizes:
            case.job.format(**case.size(scale))
            [side.note.format(**case.size(scale)) for side in case.sides]


def test_the_row_of_imagededup_says_what_was_declared_to_load_it():
    (note,) = (side.note for case in CASES for side in case.sides if side.name == "imagededup")
    assert f"operators of torchvision that it never calls ({', '.join(DECLARED_OPERATORS)}) are declared" in note
    page = (BENCH.parent / "RESULTS.md").read_text()
    assert row(page, "imagededup")[-1] == note
