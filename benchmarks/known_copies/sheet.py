"""Draw pairs of pictures side by side, to be judged by eye."""

from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont, ImageOps

from known_copies.scoring import Found, Image, Pair

SIDE, GAP, CAPTION, COLUMNS = 170, 6, 46, 4


def draw_sheet(file: Path, pairs: Sequence[Pair], found: Found, locate: Callable[[Image], Path]) -> None:
    """Write a PNG with both pictures of every pair, their names, the verdict and the evidence."""
    width, height = 2 * SIDE + 3 * GAP, SIDE + CAPTION + GAP
    rows = -(-len(pairs) // COLUMNS)
    sheet = Pillow.new("RGB", (COLUMNS * width, max(rows, 1) * height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=10)
    for place, pair in enumerate(pairs):
        left, top = place % COLUMNS * width, place // COLUMNS * height
        for side, image in enumerate(pair):
            picture = _thumbnail(locate(image))
            sheet.paste(picture, (left + GAP + side * (SIDE + GAP), top))
        names = [f"{dataset[:9]}/{key[-46:]}" for dataset, key in pair]
        note = f"{place + 1}. {found.verdict(pair)}, {found.signals(pair).replace('lation', '')}"
        draw.multiline_text((left + GAP, top + SIDE + 1), "\n".join([note, *names]), "black", font, spacing=1)
    sheet.save(file)


def _thumbnail(file: Path) -> Pillow.Image:
    with Pillow.open(file) as image:
        turned = ImageOps.exif_transpose(image)
        if "A" in turned.getbands() or "transparency" in turned.info:
            ground = Pillow.new("RGBA", turned.size, "white")
            turned = Pillow.alpha_composite(ground, turned.convert("RGBA"))
        scale = SIDE / max(turned.size)
        size = tuple(max(1, round(side * scale)) for side in turned.size)
        return turned.convert("RGB").resize(size, Pillow.Resampling.NEAREST if scale > 2 else Pillow.Resampling.LANCZOS)
