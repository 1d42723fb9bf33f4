"""Reports made of generated pictures, as a run would fill them: a small one with harmful names, and one of any size."""

import io
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from overlens.report.html.records import (
    Containment,
    Curve,
    DatasetRow,
    FileEntry,
    Gallery,
    Images,
    Map,
    Picture,
    Report,
    Section,
    ShownPair,
    Table,
)

RUNGS = (
    ("same_bytes", "same bytes", "The files are equal."),
    ("same_pixels", "same pixels", "The pictures are equal once decoded."),
    ("same_picture", "same picture", "Resized, recompressed or recoloured."),
    ("edited", "edited", "Cropped, bordered, written on, squashed, flipped or turned."),
    ("same_scene", "same scene", "Another photograph of the same thing: not a copy."),
    ("look_alike", "look-alike", "Only the embedding says so."),
)
HOSTILE = (
    "<img src=x onerror=alert(1)>.jpg",
    '"; DROP TABLE images; --.png',
    "</script><script>alert(2)</script>.png",
    "n" * 296 + ".jpg",
    "\N{GRINNING FACE}\N{FAMILY} smile.webp",
    "\u05ea\u05de\u05d5\u05e0\u05d4 12 (3).jpg",
    "\u202egnp.exe",
    "line\u2028break\nand\ttab {{ 7 * 7 }} &amp;.png",
)
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
CROP = (0.1, 0.15, 0.8, 0.7)
"""Left, upper, width, height of what a crop keeps, as shares."""
OF_CROP = (1 / 0.8, 0.0, -0.1 / 0.8, 0.0, 1 / 0.7, -0.15 / 0.7, 0.0, 0.0, 1.0)


def make_scene(seed: int, width: int = 192, height: int = 144) -> Image.Image:
    """Return a picture of coloured hills and a sun: another seed, another scene."""
    generator = np.random.Generator(np.random.PCG64(seed))
    across = np.linspace(0, 1, width)
    down = np.linspace(0, 1, height)[:, None, None]
    pixels: NDArray[np.float64] = generator.integers(120, 240, 3) * (1 - 0.5 * down) + np.zeros((height, width, 3))
    sun = generator.uniform((0.1, 0.05), (0.9, 0.4))
    near = (across[None, :] - sun[0]) ** 2 + (down[:, :, 0] - sun[1]) ** 2 < generator.uniform(0.003, 0.02)
    pixels[near] = generator.integers(200, 255, 3)
    for level in np.linspace(0.35, 0.85, 5):
        waves = sum(
            generator.uniform(0.01, 0.07) * np.sin(generator.uniform(2, 25) * across + generator.uniform(0, 6))
            for _ in range(4)
        )
        pixels[down[:, :, 0] > level + waves[None, :]] = generator.integers(20, 190, 3)
    pixels += generator.normal(0, 6, pixels.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.6))


def crop(picture: Image.Image) -> Image.Image:
    """Return what `CROP` keeps, to which `OF_CROP` maps the picture."""
    left, upper, width, height = CROP
    w, h = picture.size
    return picture.crop((round(left * w), round(upper * h), round((left + width) * w), round((upper + height) * h)))


def webp(picture: Image.Image, quality: int = 70) -> bytes:
    """Return the picture as a WebP file."""
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=quality)
    return buffer.getvalue()


def small_report() -> Report:
    """Return a report of three datasets, 60 images and 30 pairs, with every part of the page and hostile names."""
    names, datasets, labels, sizes, pictures = [], [], [], [], []
    pairs = []
    for number in range(30):
        scene = make_scene(number, *((192, 144) if number % 3 else (120, 170)))
        other = _copy(scene, number)
        for side, picture in enumerate((scene, other)):
            names.append(
                HOSTILE[number // 2] if side == 0 and number % 2 == 0 and number < 16 else f"{number:03d}_{side}.jpg"
            )
            datasets.append(_dataset_of(number, side))
            labels.append(number % 5 if number < 25 else -1)
            sizes.append(picture.size)
            pictures.append(webp(picture))
        pairs.append(_pair(number))
    images = Images(
        np.array(datasets, np.int16),
        tuple(names),
        np.array(labels, np.int32),
        ("harbour", "<b>hills</b>", "night", "\u05d4\u05e8\u05d9\u05dd", "=cmd|' /C calc'!A0"),
        np.repeat(np.arange(30), 2).astype(np.int32),
        np.array(sizes, np.int32),
        np.arange(60, dtype=np.int32),
        tuple(pictures),
    )
    return Report(
        title="gallery, archive and <i>web</i>",
        version="0.1.0",
        verdict="A quarter of gallery is in archive, and almost nothing of either is in <i>web</i>.",
        findings=(
            "250 of the 1,000 images of gallery (25 %) have a copy in archive; "
            "210 of these are the same file or the same pixels.",
            "240 of the 4,000 images of archive (6 %) have a copy in gallery.",
            "3 of the 8,200 images of <i>web</i> (0.037 %) have a copy in gallery.",
            "12 images could not be read and are not counted.",
        ),
        basis=(
            ("Encoder", "efficientnet-lite0 (not CLIP)"),
            ("Cosine", "at least 0.9"),
            ("Hash", "phash, at most 10 bits of 64"),
            ("Copies", "same bytes, same pixels, same picture or edited"),
        ),
        command="overlens compute --root '/data/my images' --datasets gallery archive '<i>web</i>' --threshold 0.9",
        notices=("The encoder is not CLIP: look-alikes of another style may be missed.",),
        datasets=(
            DatasetRow("gallery", "/data/gallery", 1_003, 1_000, 3, 4, "folder names", "../gallery/failures.csv"),
            DatasetRow(
                "archive", "/data/archive/list.csv", 4_009, 4_000, 9, 0, "column label", "../archive/failures.csv"
            ),
            DatasetRow("<i>web</i>", "/data/web", 8_200, 8_200, 0, None, "none", ""),
        ),
        rungs=RUNGS,
        containments=_containments(),
        overview=(
            Picture(
                "Images with a copy, by dataset.",
                "A Venn diagram.",
                webp(make_scene(99, 640, 400), 80),
                "image/webp",
                "venn.png",
            ),
        ),
        curves=_curves(),
        images=images,
        gallery=Gallery(
            tuple(pairs),
            {
                "same_bytes": 180,
                "same_pixels": 40,
                "same_picture": 20,
                "edited": 13,
                "same_scene": 90,
                "look_alike": 1_400,
            },
            ("1,713 pairs are not shown here: they are in the file below.",),
            "pairs/verified%20pairs.csv",
        ),
        maps=_maps(60),
        sections=_sections(),
        files=(
            FileEntry("summary.json", "summary.json", "The numbers of this page.", 18_223),
            FileEntry("pairs/verified%20pairs.csv", "pairs/verified pairs.csv", "All pairs, with their evidence.", 812),
            FileEntry(
                "../gallery/failures.csv", "../gallery/failures.csv", "Images that could not be read.", 4_800_000
            ),
        ),
    )


def large_report(n_images: int, n_pairs: int, n_pictures: int = 400) -> Report:
    """Return a report of any size; its pictures are few and stand in it several thousand times as large pages would."""
    generator = np.random.Generator(np.random.PCG64(7))
    noise = generator.integers(0, 256, (n_pictures, 5_000), np.uint8)  # as many bytes as a thumbnail has
    start = webp(make_scene(1, 96, 72))
    pictures = tuple(start + row.tobytes() for row in noise)
    images = Images(
        generator.integers(0, 3, n_images).astype(np.int16),
        tuple(f"folder/image_{number:06d}.jpg" for number in range(n_images)),
        generator.integers(0, 40, n_images).astype(np.int32),
        tuple(f"class {number}" for number in range(40)),
        np.where(generator.random(n_images) < 0.1, generator.integers(0, 900, n_images), -1).astype(np.int32),
        np.full((n_images, 2), (96, 72), np.int32),
        generator.integers(0, n_pictures, n_images).astype(np.int32),
        pictures,
    )
    ends = generator.permutation(n_images)[: 2 * n_pairs].reshape(-1, 2)
    pairs = tuple(replace(_pair(number), left=int(left), right=int(right)) for number, (left, right) in enumerate(ends))
    small = small_report()
    assert small.gallery is not None
    return replace(small, images=images, gallery=replace(small.gallery, pairs=pairs), maps=_maps(n_images))


def _dataset_of(number: int, side: int) -> int:
    return ((0, 1), (0, 0), (1, 2))[number % 3][side]


def _copy(scene: Image.Image, number: int) -> Image.Image:
    rung = number % 6
    if rung < 2:
        return scene
    if rung == 2:
        return scene.resize((scene.width // 2, scene.height // 2))
    return crop(scene) if rung == 3 else make_scene(number + 1_000)


def _pair(number: int) -> ShownPair:
    code = RUNGS[number % 6][0]
    cosine = round(0.99 - 0.004 * number, 4) if number % 7 else None
    words = {"same_picture": "half as large", "edited": "cropped to 56 %"}.get(code, "")
    evidence = (
        ("Points that match", f"{400 - 7 * number}"),
        ("Pixels alike after laying on", f"{0.99 - 0.01 * number:.2f}"),
    )
    transform = {"same_picture": IDENTITY, "edited": OF_CROP}.get(code)
    left = 2 * number
    judged = "copy" if number == 2 else ""
    return ShownPair(left, left + 1, code, 1 - number / 40, cosine, number % 30, words, evidence, transform, judged)


def _containments() -> tuple[Containment, ...]:
    verified = ((12, 250, 9), (240, 31, 0), (3, 0, None))
    surest = ((4, 100, 1), (100, 11, 0), (1, 0, None))
    by_rung = {
        "same_bytes": surest,
        "same_pixels": ((8, 210, 5), (205, 20, 0), (2, 0, None)),
        "same_picture": verified,
        "edited": verified,
    }
    return (
        Containment(
            "verified",
            "Verified copies",
            "two images match if one was shown to be a copy of the other",
            verified,
            by_rung,
            "verified.json",
        ),
        Containment(
            "cosine",
            "Cosine",
            "two images match at cosine similarity of at least 0.9",
            ((90, 400, 20), (420, 99, 7), (31, 5, None)),
            {},
            "cosine.json",
        ),
        Containment(
            "perceptual",
            "Perceptual hash",
            "two images match at 10 bits or fewer",
            ((20, 260, 10), (250, 40, 2), (4, 1, None)),
            {},
            "perceptual.json",
        ),
    )


def _curves() -> tuple[Curve, ...]:
    directions = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1)]
    similarities = tuple(round(0.8 + 0.01 * step, 2) for step in range(21))
    alike = {
        one: tuple(int((900 - 70 * place) * (1 - step / 22) ** 2) for step in range(21))
        for place, one in enumerate(directions)
    }
    bits = {one: tuple((10 + 3 * place) * step for step in range(17)) for place, one in enumerate(directions)}
    return (
        Curve("cosine", "Cosine similarity", "", True, similarities, 0.9, alike, "curve_cosine.json"),
        Curve(
            "perceptual", "Hamming distance", "bits", False, tuple(map(float, range(17))), 10.0, bits, "curve_bits.json"
        ),
    )


def _maps(n_images: int) -> tuple[Map, ...]:
    generator = np.random.Generator(np.random.PCG64(5))
    centres = generator.normal(0, 8, (6, 2))
    points = (centres[np.arange(n_images) % 6] + generator.normal(0, 1, (n_images, 2))).astype(np.float32)
    places = np.arange(n_images, dtype=np.int32)
    return (
        Map("tsne", "t-SNE", places, points, "tsne.csv"),
        Map("umap", "UMAP", places, points[:, ::-1].copy(), "umap.csv"),
    )


def _sections() -> tuple[Section, ...]:
    conflicts = Table(
        "Copies with different labels",
        ("Image", "Label", "Copy", "Label of the copy", "Cosine"),
        ((HOSTILE[0], "hills", HOSTILE[3], "night", 0.98213), ("b.jpg", "night", HOSTILE[5], "harbour", None)),
        ("31 more conflicts are in the file.",),
        "conflicts.csv",
    )
    groups = Table(
        "Groups of copies by size", ("Images in the group", "Groups"), ((2, 1_204), (3, 90), (7, 1)), (), "groups.json"
    )
    chart = Picture(
        "Groups by size.", "Most groups have two images.", webp(make_scene(77, 500, 300)), "image/webp", "groups.png"
    )
    return (
        Section("groups", "Groups of copies", "1,295 groups hold 2,685 images.", (groups,), (chart,)),
        Section("conflicts", "Label conflicts", "33 copies have another label than their original.", (conflicts,)),
    )
