"""The documentation cannot drift: options, commands, files, keys, links and examples are held against the code."""

import contextlib
import importlib.util
import io
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from inspect import signature
from pathlib import Path

import click
import pytest
from pyarrow import parquet

import overlens.errors
from overlens.adjusted_scores import SCORE_COLUMNS
from overlens.analysis import Analysis
from overlens.bridge import BRIDGE_COLUMNS
from overlens.calibration.choice import Calibration
from overlens.calibration.thresholds import Thresholds
from overlens.cli import overlens as command_line
from overlens.config import SHORT_CLASSES, SPLIT_FORMATS, STRATEGIES, FewShotConfig
from overlens.curves import curves_csv
from overlens.fewshot.variance import COLUMNS as VARIANCE_COLUMNS
from overlens.fewshot.variance import VARIANCE_PROBES, variance_json
from overlens.label_conflicts import CONFLICT_COLUMNS
from overlens.layout import AnalysisLayout, CrossLayout
from overlens.recall.measure import missed_csv
from overlens.records import ModelInfo
from overlens.run_options import config_from_options
from overlens.testing import FakeEncoder, write_pictures
from overlens.transfer.figures import CLASS_COLUMNS, FIGURE_COLUMNS

REPOSITORY = Path(__file__).resolve().parents[1]
DOCS = REPOSITORY / "docs"
PAGES = [REPOSITORY / "README.md", *sorted(DOCS.glob("*.md"))]
PAGE_IDS = [page.name for page in PAGES]
MAX_PICTURE_BYTES = 300_000


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def leaves(command: click.Command = command_line, path: str = "overlens") -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    for name in command.list_commands(click.Context(command)):
        yield from leaves(command.get_command(click.Context(command), name), f"{path} {name}")


LEAVES = dict(leaves())


# ---- options and commands ----


def test_the_page_of_options_is_what_the_commands_say():
    spec = importlib.util.spec_from_file_location("make_options", DOCS / "make_options.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert read(DOCS / "options.md") == module.options_page(), "run: python docs/make_options.py"


@pytest.mark.parametrize("path", LEAVES)
def test_every_command_and_option_is_in_the_documentation(path: str):
    section = read(DOCS / "options.md").partition(f"\n## {path}")[2].partition("\n## ")[0]
    options = [option for option in LEAVES[path].params if isinstance(option, click.Option) and not option.hidden]
    assert section
    for option in options:
        rows = [line for line in section.splitlines() if line.startswith(f"| `{option.opts[0]}` |")]
        assert len(rows) == 1 and option.help in rows[0], option.opts
    everywhere = " ".join(read(page) for page in PAGES if page.name != "options.md")
    assert path in everywhere


def command_lines(text: str) -> Iterator[str]:
    for block in re.findall(r"^```[a-z]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if re.match(r"(overlens|python compute_overlap\.py)( |$)", line):
                yield line
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"`((?:overlens|python compute_overlap\.py)(?: [^`]*)?)`", prose)


COMMAND_LINES = [(page.name, line) for page in PAGES for line in dict.fromkeys(command_lines(read(page)))]


def parse(line: str) -> tuple[click.Command, dict[str, object]]:
    """Parse a command line as the program does, without running it; options that cannot work raise as well."""
    words = shlex.split(line.replace("python compute_overlap.py", "overlens compute"))[1:]
    command: click.Command = command_line
    while isinstance(command, click.Group) and words:
        name, command, words = command.resolve_command(click.Context(command), words)
    if isinstance(command, click.Group):
        return command, {}
    values = command.make_context(name, words).params
    if command is LEAVES["overlens compute"]:
        config_from_options({key: value for key, value in values.items() if key not in ("as_json", "verbose")})
    return command, values


@pytest.mark.parametrize(("page", "line"), COMMAND_LINES, ids=lambda value: value[:60])
def test_every_command_line_shown_is_one_that_works(page: str, line: str):
    if line.endswith("--help"):
        line = line.removesuffix("--help")
    parse(line)


def test_the_parser_of_command_lines_refuses_wrong_ones():
    for line in ("overlens compute --dataset a", "overlens compte", "overlens compute --method cosin"):
        with pytest.raises(click.UsageError):
            parse(line)
    with pytest.raises(overlens.errors.ConfigError, match="--hash-threshold"):
        parse("overlens compute --hash-threshold -1")


def test_command_lines_are_found():
    found = {line for _, line in COMMAND_LINES}
    assert {"overlens demo", "overlens models list", "python compute_overlap.py"} <= found
    assert sum(line.startswith("overlens compute --") for line in found) >= 6


# ---- links and pictures ----


def slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_every_relative_link_leads_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)\s]+)\)", read(page)):
        if target.startswith(("https://", "http://")):
            continue
        file, _, anchor = target.partition("#")
        path = page.parent / file if file else page
        assert path.is_file(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", read(path), re.MULTILINE)
            assert anchor in {slug(heading) for heading in headings}, target


def test_every_picture_is_small_and_shown():
    shown = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in re.findall(r"!\[[^\]]+\]\(([^)\s]+)\)", read(page))
    }
    pictures = set((DOCS / "images").iterdir())
    assert shown == pictures
    assert all(picture.stat().st_size <= MAX_PICTURE_BYTES for picture in pictures)


# ---- files and keys ----


ARGUMENTS = {
    "first": "{dataset1}", "second": "{dataset2}", "k_shot": "{k}", "n_classes": "{n}", "seed": "{s}",
    "coloured_by": "label",
}  # fmt: skip
SUFFIXES = {
    "projection": ("html",),
    "transfer": ("json",),
    "curve": ("png",),
    "seed_variance": ("json", "csv", "png"),
    "label_bridge": ("json", "csv"),
    "prediction_scores": ("json", "csv"),
    "transfer_matrix": ("json", "csv"),
}


def names_of_files(layout: type, **known: str) -> Iterator[str]:
    """File names of a layout, its arguments written as the documentation writes them."""
    made = layout(Path("ROOT"), **known)
    for name in vars(layout):
        member = getattr(made, name)
        if isinstance(member, Path):
            yield member.name
        elif callable(member) and not name.startswith("_"):
            for suffix in SUFFIXES.get(name, ("",)):
                words = {**ARGUMENTS, "suffix": suffix}
                arguments = [words.get(argument, f"{{{argument}}}") for argument in signature(member).parameters]
                yield member(*arguments).name


@pytest.mark.parametrize(
    "name",
    [
        *names_of_files(AnalysisLayout, dataset="{dataset}"),
        *(name for name in names_of_files(CrossLayout) if not name.startswith("combined_{method}")),
    ],
)
def test_every_file_is_in_the_page_of_outputs(name: str):
    page = read(DOCS / "outputs.md")
    forms = {name, *(name.replace("{method}", method) for method in ("cosine", "verified", "tsne"))}
    if name.endswith(("_embeddings.npy", "_rows.npy")):
        forms.add(name.replace("{strategy}_{k}shot_{n}classes_seed{s}", "…"))
    assert any(form in page for form in forms), name


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Analysis]:
    folder = tmp_path_factory.mktemp("pictures")
    write_pictures(folder / "one", range(6))
    write_pictures(folder / "two", range(3, 9))
    files = [path.relative_to(folder / "two") for path in sorted((folder / "two").rglob("*.png"))]
    rows = [f"{path.as_posix()},{'abc'[place % 2]}\n" for place, path in enumerate(files)]
    for model in ("x", "y"):
        (folder / f"{model}.csv").write_text("image,predicted\n" + "".join(rows), encoding="utf-8")
        rows = [row.replace(",b", ",c") for row in rows]
    result = overlens.analyze(
        {"one": folder / "one", "two": folder / "two"},
        encoder=FakeEncoder(),
        projections="none",
        generate_few_shot=True,
        k_shots=(1,),
        n_classes=2,
        n_seeds=1,
        n_episodes=2,
        evaluate_cross_dataset=True,
        predictions=[f"two={folder / model}.csv" for model in ("x", "y")],
    )
    yield result
    result.workspace.close()


def keys_of(value: object) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {key for child in value.values() for key in keys_of(child)}
    if isinstance(value, list | tuple):
        return {key for child in value for key in keys_of(child)}
    return set()


def test_every_key_of_the_json_files_is_explained(analysis: Analysis):
    keys = keys_of([analysis.to_json(), analysis.transfer_matrix.to_json(), analysis.labels.to_json()])
    keys |= keys_of([analysis.scores.to_json(), variance_json(analysis.variances["one"])])
    keys |= keys_of([analysis.splits[0].to_json(), analysis.episodes[0].to_json()])
    keys |= keys_of(json.loads(CrossLayout(analysis.output).transfer("one", "two", "json").read_text("utf-8")))
    keys |= {field.name for field in fields(ModelInfo)}
    verdicts = set(analysis.labels.to_json()["n_conflicts_by_verdict"])
    words = first_cells(read(DOCS / "outputs.md"))
    assert keys - {"one", "two"} - verdicts <= words
    assert verdicts <= {*words, "through other images"}


def first_cells(text: str) -> set[str]:
    """The words in the first cells of a page's tables, and the parts of those with dots between."""
    words = set(re.findall(r"[\w.]+", " ".join(re.findall(r"^\| (`.*?) \|", text, re.MULTILINE))))
    return words | {part for word in words for part in word.split(".")}


def test_every_key_of_a_lock_is_explained(analysis: Analysis):
    lock = json.loads(AnalysisLayout(analysis.output, "one").splits_lock.read_text("utf-8"))
    options = {field.name for field in fields(FewShotConfig)}
    section = read(DOCS / "few-shot.md").partition("## The lock")[2].partition("\n## ")[0]
    told = set(re.findall(r"`([\w_]+)`", section))
    assert set(lock) | keys_of([lock["splits"], lock["images"]]) <= told
    assert {"groups", "in_held_out", "basis"} == set(lock["copies"]) and set(lock["copies"]) <= told
    assert set(lock["config"]) == options


def test_every_column_of_the_tables_is_explained(analysis: Analysis):
    page = read(DOCS / "outputs.md")
    explained = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`.*?) \|", page, re.MULTILINE))))
    for table in (CrossLayout(analysis.output).pairs, CrossLayout(analysis.output).groups):
        assert set(parquet.read_schema(table).names) <= explained
    head = curves_csv([]).strip().split(",") + missed_csv([], {}).strip().split(",")
    head += [*FIGURE_COLUMNS, *CLASS_COLUMNS, *BRIDGE_COLUMNS, *CONFLICT_COLUMNS, *VARIANCE_COLUMNS]
    head += [re.sub("_(all|leaked|clean)$", "", column) for column in SCORE_COLUMNS]
    assert set(head) <= set(re.findall(r"`(\w+)`", page))


def test_every_key_of_a_calibration_is_explained():
    section = read(DOCS / "outputs.md").partition("### calibration.json")[2].partition("\n### ")[0]
    edits = ("crop",)
    one = Calibration("cosine", "a", "b", 0.01, (0.9,), (3,), (3,), (0,), edits, ((2,),), 4, 0)
    keys = keys_of(Thresholds({}, (one,)).calibration_json()) - set(edits)
    assert keys <= set(re.findall(r"`(\w+)`", section))


def test_the_record_of_a_run_is_explained(analysis: Analysis):
    page = read(DOCS / "python.md")
    hidden = {"config", "matches", "workspace"}
    for field in fields(Analysis):
        assert field.name in hidden or f"result.{field.name}" in page, field.name
    for name in ("overlap", "pairs", "failures", "to_json", "output", "splits", "episodes"):
        assert f"result.{name}" in page
    for name, kind in vars(overlens.errors).items():
        if isinstance(kind, type) and issubclass(kind, overlens.errors.OverlensError) and name != "DecodeError":
            assert name in page


def test_strategies_of_splits_are_explained():
    page = read(DOCS / "few-shot.md")
    assert all(f"`{name}`" in page for name in (*STRATEGIES, *SHORT_CLASSES, *SPLIT_FORMATS, *VARIANCE_PROBES))


# ---- examples ----

EXAMPLES = [
    (page.name, number, code, expected)
    for page in PAGES
    for number, (code, expected) in enumerate(
        re.findall(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```", read(page), re.MULTILINE | re.DOTALL), 1
    )
]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("skimage", reason="the demo's photographs come with the extra demo")
    pytest.importorskip("sklearn", reason="the demo's photographs come with the extra demo")
    pytest.importorskip("pandas", reason="the examples print DataFrames, extra pandas")
    from overlens.demo import make_pictures, write_datasets

    folder = tmp_path_factory.mktemp("demo")
    write_datasets(make_pictures(), folder / "overlens-demo")
    return folder


@pytest.mark.parametrize(
    ("code", "expected"),
    [pytest.param(code, expected, id=f"{page}-{number}") for page, number, code, expected in EXAMPLES],
)
def test_every_example_prints_what_the_page_says(code: str, expected: str, demo: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(demo)
    printed = io.StringIO()
    names: dict[str, object] = {"__name__": "__main__"}
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "example", "exec"), names)
    if "result" in names:
        names["result"].workspace.close()
    assert printed.getvalue() == expected


def test_examples_are_found():
    assert {page for page, *_ in EXAMPLES} == {"python.md", "encoders.md", "methods.md"}
