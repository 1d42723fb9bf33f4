"""Names that try to do harm, of files, classes and datasets, through a whole run: tables, pages, report and desk."""

import csv
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import overlens
from overlens.decisions.store import DecisionStore
from overlens.finished import FinishedRun
from overlens.layout import CrossLayout
from overlens.tables import is_formula
from overlens.testing import encode_picture, make_picture
from pictures import unrendered_pictures

DATASETS = (
    "<img src=x onerror=alert(1)>",
    '"; DROP TABLE decisions; --',
    "=1+1",
    "\N{GRINNING FACE} \u05ea\u05de\u05d5\u05e0\u05d5\u05ea",
)
CLASSES = ("<script>alert(2)<", "@SUM(A1)", "c" * 200)
FILES = (
    "<img src=x onerror=alert(3)>.png",
    '"; DROP TABLE decisions; --.png',
    "n" * 150,  # a folder, so that the whole name has 300 characters and more
    "\N{GRINNING FACE} smile.png",
    "\u05ea\u05de\u05d5\u05e0\u05d4 \u202egnp.exe.png",
    "-2+3 {{ 7 * 7 }} &amp;</script><b>.png",
)
pytestmark = pytest.mark.slow  # a whole run with its pages, and a browser
EXACT = {"classes.csv", "removed.csv"}
"""Tables that programs go by, in which names stay as they are; beside these those of splits."""


def path_of(root: Path, side: int, number: int) -> Path:
    name = FILES[number % len(FILES)]
    name = f"{name}/{'m' * 146}.png" if "." not in name else name
    return root / f"images {side}" / CLASSES[number % len(CLASSES)] / f"{number // len(FILES)}" / name


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run of four datasets that share pictures, as they are, mirrored or recompressed."""
    root = tmp_path_factory.mktemp("hostile")
    for side in range(len(DATASETS)):
        for number in range(12):
            pixels = make_picture(number if number < 6 else 100 * side + number, 200, 150)
            pixels = np.ascontiguousarray(pixels[:, ::-1]) if side == 1 else pixels
            path = path_of(root, side, number)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_picture(pixels, "JPEG", quality=60) if side == 2 else encode_picture(pixels))
    (root / "images 0" / CLASSES[0] / "=broken.png").write_bytes(b"no picture")
    drawn = {"generate_few_shot": True, "k_shots": (1,), "n_classes": 2, "n_seeds": 1, "strategies": ("random",)}
    with unrendered_pictures():
        overlens.analyze(
            {name: root / f"images {side}" for side, name in enumerate(DATASETS)},
            output=root / "out",
            clip_model="offline",
            max_failures=0.5,
            evaluate_cross_dataset=True,
            **drawn,
        )
    return root / "out"


def test_no_cell_of_a_table_for_people_is_run(results: Path):
    tables = [path for path in results.rglob("*.csv") if path.name not in EXACT and "shot_" not in path.name]
    assert len(tables) > 12
    odd = [
        (path.name, cell)
        for path in tables
        for row in csv.reader(io.StringIO(path.read_text("utf-8"), newline=""))
        for cell in row
        if is_formula(cell) and not cell.startswith("'")
    ]
    assert odd == []


def test_every_name_comes_back(results: Path):
    images = FinishedRun.open(results).images
    assert images.dataset_names == DATASETS and set(images.label_names) == set(CLASSES)
    for side in range(len(DATASETS)):
        names = {images.name(row) for row in np.flatnonzero(images.datasets == side).tolist()}
        folder = results.parent / f"images {side}"
        assert names == {str(path_of(results.parent, side, number).relative_to(folder)) for number in range(12)}
    assert all(images.path(row).is_file() for row in range(len(images)))


def test_pages_hold_no_name_as_markup(results: Path):
    pages = sorted(results.rglob("*.html"))
    assert {"report.html", "index.html"} < {page.name for page in pages}
    for page in pages:
        text = page.read_text("utf-8")
        assert not re.search(r"<img src=x|<script>alert|</script><b>", text), page.name
        assert "49 &amp;" not in text, f"{page.name}: a name was taken for a template"


def test_pages_do_no_harm_in_a_browser(results: Path, browser):
    for path in sorted(results.rglob("*.html")):
        wrong = []
        page = browser.new_page()
        page.on("dialog", lambda dialog, wrong=wrong: (wrong.append(dialog.message), dialog.dismiss()))
        page.on("pageerror", lambda error, wrong=wrong: wrong.append(str(error)))
        page.on("request", lambda request, wrong=wrong: wrong.append(request.url) if is_foreign(request.url) else None)
        page.goto(path.as_uri())
        for part in page.locator("h2:visible").all():
            part.scroll_into_view_if_needed()
        page.wait_for_timeout(300)
        assert not page.locator('img[src="x"]').count() and wrong == [], path.name
        page.close()


def is_foreign(address: str) -> bool:
    return not address.startswith(("file:", "data:", "blob:"))


@pytest.fixture
def address(results: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "overlens", "review", str(results)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.terminate()


def test_the_desk_does_no_harm_and_takes_answers(results: Path, address: str, browser):
    wrong = []
    page = browser.new_page()
    page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.goto(address)
    for number in range(4):
        page.wait_for_selector("#table[data-pair]")
        page.wait_for_timeout(700)
        page.keyboard.press("cnsu"[number])
    page.locator("#answers-open").click()
    page.wait_for_timeout(300)
    assert not page.locator('img[src="x"]').count() and wrong == []
    page.close()
    latest = DecisionStore(CrossLayout(results).decisions).latest()
    assert [one.answer for one in latest.values()] == ["copy", "not a copy", "same scene", "unsure"]
    assert {one.left.dataset for one in latest.values()} <= set(DATASETS)
    done = subprocess.run(
        [sys.executable, "-m", "overlens", "review", str(results), "--export", "-"],
        capture_output=True,
        text=True,
        check=True,
    )
    cells = [cell for row in csv.reader(io.StringIO(done.stdout, newline="")) for cell in row]
    assert not [cell for cell in cells if is_formula(cell) and not cell.startswith("'")]
