"""The command line as a user meets it: light to start, every option explained, wrong input answered in one line."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from overlens.cli import COMMANDS, main, overlens
from overlens.testing import write_pictures

HEAVY = {
    "numba",
    "openvino",
    "plotly",
    "umap",
    "openTSNE",
    "matplotlib",
    "torch",
    "transformers",
    "ray",
    "scipy",
    "PIL",
}
REPOSITORY = Path(__file__).resolve().parents[1]
DOCUMENTED_OPTIONS = (
    "--datasets --max-images --clip-model --batch-size --method --cosine-threshold --hash-threshold --hash-size "
    "--hash-type --projections --tsne-perplexity --umap-neighbors --use-ground-truth --generate-few-shot --k-shots "
    "--n-classes --n-seeds --evaluate-cross-dataset --verbose --help"
).split()


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "overlens", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, encoding="utf-8")


def run_here(*arguments: str) -> object:
    """Run a command in this process, which needs no start, and return its status."""
    with pytest.raises(SystemExit) as done:
        main(arguments)
    return done.value.code


def loaded_by(code: str) -> set[str]:
    code = f"{code}\nimport sys; print(' '.join(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split()) & HEAVY


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_by("import overlens, overlens.config, overlens.cli, overlens.errors") == set()


@pytest.mark.parametrize("arguments", [["--help"], ["compute", "--help"], ["demo", "--help"], ["models", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]):
    code = (
        "import contextlib, io\nfrom overlens.cli import overlens\nwith contextlib.redirect_stdout(io.StringIO()):\n"
        f"    overlens.main({arguments!r}, standalone_mode=False)"
    )
    assert loaded_by(code) == set()


def test_help_answers_in_half_a_second():
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        assert run("--help").returncode == 0
        seconds.append(time.perf_counter() - start)
    assert sorted(seconds)[2] < 0.5


def test_compute_help_has_every_documented_option_under_a_heading_with_its_default():
    text = run("compute", "--help").stdout
    for name in DOCUMENTED_OPTIONS:
        assert re.search(rf"^  (-h, )?{name}\b", text, re.MULTILINE), name
    for heading in ("Datasets:", "Pairs:", "Encoder:", "Projections:", "Few-shot splits and generalization:", "Run:"):
        assert f"\n{heading}\n" in text
    words = " ".join(text.split())
    defaults = ("ArtDL, ICONCLASS, wikidata", "0.9", "5", "8", "phash", "ViT-B/32", "32", "30", "15", "1, 5, 10", "5%")
    for default in defaults:
        assert f"[default: {default}]" in words, default


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_every_command_is_explained(name: str):
    command = overlens.get_command(click.Context(overlens), name)
    commands = command.commands.values() if isinstance(command, click.Group) else [command]
    for one in commands:
        assert one.help
        assert all(option.help for option in one.params if isinstance(option, click.Option)), one.name


def test_the_documented_script_is_the_command():
    script = [sys.executable, str(REPOSITORY / "compute_overlap.py"), "--help"]
    assert "--cosine-threshold" in subprocess.run(script, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["compute", "--method", "cosin"], "'cosine', 'perceptual', 'both'"),
        (["compute", "--hash-size", "x"], "--hash-size is 'x'; it must be a whole number, 2 or more, such as 8"),
        (["compute", "--max-candidates", "x"], "--max-candidates is 'x'; it must be a whole number, 1 or more"),
        (["compute", "--cosine-threshold", "automatic"], "must be a number, -1 to 1, such as 0.9, or 'auto'"),
        (["compute", "--hash-threshold", "autox"], "must be a whole number, 0 or more, such as 5, or 'auto'"),
        (["compute", "--false-discovery-rate", "2"], "0 to below 1, such as 0.01 or 1%; write 2% for a percentage"),
        (["compute", "--k-shots", "x"], "--k-shots is 'x'; it must be a whole number"),
        (["compute", "--hash-threshold", "-3"], "--hash-threshold -3 is too small; allowed is 0 or more"),
        (["compute", "--cosine-threshold", "90"], "--cosine-threshold 90 is out of range"),
        (["compute", "--max-failures", "many"], "--max-failures is 'many'; it must be a number, 0 to 1 or 0%"),
        (["compute", "--max-failures", "150%"], "0% to 100%"),
        (["compute", "--datasets", "a/b"], "holds a slash"),
        (["compute", "--dataset", "a"], "--datasets"),
        (["compute", "--engine", "ray2"], "'local'"),
        (["compte"], "No such command"),
    ],
    ids=lambda value: " ".join(value[1:]) if isinstance(value, list) else "",
)
def test_wrong_usage_is_exit_2_and_says_what_is_allowed(tmp_path: Path, arguments: list[str], words: str):
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_told_what_is_missing(tmp_path: Path):
    done = run("compute", "--clip-model", "offline", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("Error: ")
    assert "ArtDL" in done.stderr
    assert "--datasets ArtDL=PATH" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["compute", "dedupe"])
@pytest.mark.parametrize(
    "options",
    ["--datasets a=nope", "--datasets a=nope.csv", "--datasets nope", "--root nope", "--datasets a=nope --output nope"],
)
def test_what_is_named_and_does_not_exist_is_exit_2_in_every_command(
    tmp_path: Path, command: str, options: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert run_here(command, *options.split(), "--method", "perceptual") == 2
    error = capsys.readouterr().err
    assert error.startswith("Error: ") and error.count("\n") == 1 and "nope" in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dataset", ["nope", "a=nope"])
def test_published_embeddings_that_do_not_exist_are_exit_2(
    tmp_path: Path, dataset: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert run_here("compute", "--datasets", dataset, "--from-embeddings") == 2


@pytest.mark.parametrize("command", ["compute", "dedupe"])
def test_a_dataset_without_a_usable_image_is_exit_1_in_every_command(
    tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    assert run_here(command, "--datasets", "a=a", "--method", "perceptual") == 1


def test_folders_that_are_none_are_named(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("x")
    notes = tmp_path / "notes.txt"
    for arguments, words in (
        (["--output", "notes.txt"], "--output notes.txt is a file"),
        (["--output", "notes.txt/x/y"], f"--output notes.txt/x/y would lie below {notes}, which is a file;"),
        (["--root", "nope"], "--root nope is no folder"),
        (["--datasets", "a=x", "b=y"], "is repeated: --datasets a=x --datasets b=y"),
    ):
        done = run("compute", *arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert words in done.stderr


@pytest.mark.parametrize("command", ["compute", "dedupe"])
@pytest.mark.parametrize(
    ("datasets", "root", "output"),
    [
        ("a=pictures/a b=pictures/b", ".", "pictures/a"),
        ("a=pictures/a b=pictures/b", ".", "pictures/b/results"),
        ("all=pictures", ".", "pictures/results"),
        ("all=pictures", ".", "link"),
        ("all=.", ".", None),
        ("x", "documented", "documented/dataset/x/JPEGImages/results"),
        ("y=documented/dataset/x", ".", "documented/dataset/x/JPEGImages"),
    ],
    ids=["itself", "below", "below both", "by a link", "by default", "documented", "documented by its path"],
)
def test_results_do_not_go_where_images_are_read(
    tmp_path: Path,
    command: str,
    datasets: str,
    root: str,
    output: str | None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(tmp_path)
    for folder in ("pictures/a", "pictures/b", "documented/dataset/x/JPEGImages"):
        write_pictures(tmp_path / folder, range(2))
    (tmp_path / "link").symlink_to("pictures")
    before = sorted(tmp_path.rglob("*"))
    named = [word for one in datasets.split() for word in ("--datasets", one)]
    places = ["--root", root, *([] if output is None else ["--output", output])]
    assert run_here(command, *named, *places, "--method", "perceptual") == 2
    assert re.fullmatch(
        r"Error: results would go to \S+/dataset/cross, and \w+ is read from \S+; choose a folder apart from it with "
        r"--output\n",
        capsys.readouterr().err,
    )
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("command", ["compute", "dedupe"])
def test_results_may_go_beside_the_images_of_the_documented_layout(
    tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "dataset" / "x" / "JPEGImages", range(2))
    for output in ([], ["--output", "dataset/x"]):
        options = ["--datasets", "x", "--method", "perceptual", *output]
        options += ["--projections", "none"] if command == "compute" else ["--apply"]
        assert run_here(command, *options) == 0


def test_verbose_shows_the_traceback(tmp_path: Path):
    assert "Traceback" in run("compute", "--verbose", cwd=tmp_path).stderr


def test_verbose_tells_what_each_part_took_and_all_of_them_last(tmp_path: Path):
    write_pictures(tmp_path / "a", range(3))
    options = "--method perceptual --no-verify --projections none --max-images 3 --output out --verbose".split()
    done = run("compute", "--datasets", "a=a", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    parts = dict(re.findall(r"^([A-Z][^:\n]*): ([0-9.]+) s, [0-9.]+%$", done.stderr, re.MULTILINE))
    total = float(parts.pop("All"))
    assert {"Features of a", "Lists and encoder", "Everything else"} <= parts.keys()
    assert sum(map(float, parts.values())) == pytest.approx(total, abs=0.01 * len(parts))
    assert done.stderr.rstrip().endswith("100.0%")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    write_pictures(folder / "one", range(8))
    write_pictures(folder / "two", range(4, 12))
    return folder


def perceptual(pictures: Path, *more: str) -> list[str]:
    named = [f"--datasets={name}={pictures / name}" for name in ("one", "two")]
    return ["compute", *named, "--method", "perceptual", "--projections", "none", *more]


def test_json_on_stdout_progress_on_stderr(pictures: Path, tmp_path: Path):
    done = run(*perceptual(pictures, "--json"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["methods"]["perceptual"]["contained"]["one"]["two"] >= 4
    assert summary["read"] == {"one": 8, "two": 8}
    assert "Features of one: 8 of 8 images" in done.stderr
    assert json.loads(run(*perceptual(pictures, "--json"), cwd=tmp_path).stdout)["read"] == {"one": 0, "two": 0}


def test_the_summary_counts_both_directions(pictures: Path, tmp_path: Path):
    done = run(*perceptual(pictures), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"one in two +8 +\d+ \(", done.stdout)
    assert re.search(r"two in one +8 +\d+ \(", done.stdout)
    assert "No encoder was needed" in done.stdout


def test_a_named_model_is_never_replaced(pictures: Path, tmp_path: Path):
    done = run("compute", f"--datasets=one={pictures / 'one'}", "--weights", "/nowhere.onnx", cwd=tmp_path)
    assert done.returncode == 2
    assert "/nowhere.onnx" in done.stderr
    assert list(tmp_path.iterdir()) == []
