"""Make the pictures of the documentation from the results of the demo: `python docs/make_images.py overlens-demo`.

The pictures are those that a run writes, made smaller; of the galleries only some rows are taken, and of the report
and the desk what a browser shows (Chromium, driven by Playwright). Their photographs are free of copyright
restrictions: astronaut (NASA), camera (Lav Varshney), brick, grass and gravel (cc0textures.com), coffee (Rachel
Michetti), chelsea (Stefan van der Walt) and rocket (SpaceX), all from scikit-image.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Page

WIDTH = 900
COLOURS = 256
ROW_TOP, ROW_HEIGHT, ROW_STEP = 138, 426, 466
"""Where the rows of a gallery lie, in its pixels; a gallery is 1,500 pixels wide."""


def main(demo: Path) -> None:
    """Write every picture of the documentation beside this file."""
    cross = demo / "dataset" / "cross"
    pixels = cross / "gallery_archive_duplicate_examples_perceptual.png"
    subjects = cross / "gallery_archive_duplicate_examples_cosine.png"
    save(Image.open(cross / "venn_diagram_verified.png"), "venn.png")
    save(Image.open(cross / "combined_tsne_by_label.png"), "tsne.png")
    # Their small spots of colour need other colours of the palette.
    save(show_report(cross / "report.html"), "report.png", Image.Quantize.MAXCOVERAGE)
    save(show_desk(demo), "desk.png", Image.Quantize.MAXCOVERAGE)
    save(stack([gallery_row(pixels, 0), gallery_row(subjects, 2), gallery_row(subjects, 3)]), "pairs.png")


def show_report(path: Path) -> Image.Image:
    """Return what a browser shows of the report's pairs that were edited."""

    def choose_edited(page: "Page") -> None:
        page.locator("#pairs label", has_text="edited").first.click()
        page.locator("#pairs").evaluate("part => part.scrollIntoView()")

    return photograph(path.absolute().as_uri(), choose_edited)


def show_desk(demo: Path) -> Image.Image:
    """Return what a browser shows of the desk: the third pair, with the points that match."""

    def turn_to_third(page: "Page") -> None:
        for key in ("ArrowRight", "ArrowRight", "m"):
            page.keyboard.press(key)
            page.wait_for_timeout(1_500)

    command = [sys.executable, "-m", "overlens", "review", str(demo), "--no-open"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as desk:
        assert desk.stdout is not None
        try:
            return photograph(desk.stdout.readline().strip(), turn_to_third)
        finally:
            desk.terminate()


def photograph(address: str, prepare: "Callable[[Page], None]") -> Image.Image:
    """Return what a browser shows of a page once it is prepared."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.goto(address)
        page.wait_for_timeout(1_500)
        prepare(page)
        page.wait_for_timeout(1_000)  # pictures are decoded by then
        shown = page.screenshot()
        browser.close()
    return Image.open(BytesIO(shown))


def gallery_row(path: Path, row: int) -> Image.Image:
    """Cut one row of two pairs out of a gallery."""
    top = ROW_TOP + row * ROW_STEP
    with Image.open(path) as gallery:
        return gallery.convert("RGB").crop((0, top, gallery.width, top + ROW_HEIGHT))


def stack(rows: list[Image.Image]) -> Image.Image:
    """Put pictures of one width below one another."""
    sheet = Image.new("RGB", (rows[0].width, sum(row.height for row in rows)), "white")
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    return sheet


def save(picture: Image.Image, name: str, method: Image.Quantize = Image.Quantize.MEDIANCUT) -> None:
    """Write a picture at the width of a page, in few colours, so that a clone stays small; `method` chooses these."""
    height = round(picture.height * WIDTH / picture.width)
    small = picture.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS)
    palette = small.quantize(COLOURS, method)
    dithered = small.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    dithered.save(Path(__file__).with_name("images") / name, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
