"""Dependencies point downwards: the table of CONTRIBUTING.md is the order of the modules, and no import goes up it."""

import ast
import re
from importlib.util import resolve_name
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "overlens"
ROWS = re.findall(r"^\| (`.+?) \|", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.MULTILINE)
ORDER = [place for row in ROWS for place in re.findall(r"`([^`]+)`", row)]
PLACES = sorted(
    [path.name for path in PACKAGE.glob("*.py")] + [f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")]
)


def place_of(module: str) -> str:
    """Return where a module stands: the file or the folder directly in the package."""
    name = [*module.split("."), ""][1]
    return next((place for place in (f"{name}/", f"{name}.py") if place in PLACES), "__init__.py")


def imported_by(source: str, package: str) -> set[str]:
    """Return the modules of overlens that a source imports anywhere, in functions and for type checks too."""
    names = set[str]()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package)
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] == "overlens"}


def test_every_module_stands_in_one_row_and_every_row_names_modules():
    assert sorted(ORDER) == PLACES, f"not once in CONTRIBUTING.md, or not there: {set(ORDER) ^ set(PLACES) or ORDER}"


@pytest.mark.parametrize("place", PLACES)
def test_imports_point_downwards(place: str):
    paths = (PACKAGE / place).rglob("*.py") if place.endswith("/") else [PACKAGE / place]
    for path in paths:
        package = ".".join(["overlens", *path.relative_to(PACKAGE).parent.parts])
        found = {name: place_of(name) for name in imported_by(path.read_text("utf-8"), package)}
        unplaced = {place, *found.values()} - set(ORDER)
        assert not unplaced, f"{', '.join(unplaced)} stands in no row of the table of CONTRIBUTING.md"
        above = [name for name, other in found.items() if ORDER.index(other) < ORDER.index(place)]
        assert not above, f"{path.name} stands below {', '.join(sorted(above))} in the table of CONTRIBUTING.md"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f():\n    from overlens.search.tiles import cut", {"search/"}),
        ("if TYPE_CHECKING:\n    from overlens import overlap, __version__", {"overlap.py", "__init__.py"}),
        ("import overlens.report.venn as v, os", {"report/"}),
        ("from ..overlap import Overlap\nfrom .views import CurveView", {"overlap.py", "report/"}),
    ],
    ids=["in a function", "for type checks", "whole module", "relative"],
)
def test_imports_are_seen_wherever_they_stand(source: str, found: set[str]):
    assert {place_of(name) for name in imported_by(source, "overlens.report")} == found
