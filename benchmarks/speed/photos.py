"""JPEG files that are as much work as photographs, with copies among them that are known.

Each picture is laid from pieces of the sample photographs of two packages (the ones of the demo): a background and nine
patches, each cut, turned, mirrored and recoloured by chance, under film grain. So no two pictures are alike, edges and
texture are those of photographs, and a file has some 0.3 bytes a pixel.
"""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageOps

from overlens.cores import available_cores
from overlens.demo import FOLDERS, PHOTOGRAPHS
from overlens.errors import MissingExtraError
from overlens.testing import encode_picture, make_picture
from speed.records import Workshop

DATASETS = ("gallery", "archive", "web")
N_CLASSES = 10
N_PATCHES = 9
GRAIN_SIDE = 4096
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
REAL = ("caltech101_mini", "pacs_mini")
GROUP = 10
"""Pictures made together; the last of a group is a copy of the fifth."""


def write_photos(folder: Path, size: Mapping[str, Any], _: Workshop) -> None:
    """Write n JPEG files as `DATASET/CLASS/NUMBER.jpg`, and `planted.json`: the pairs of names that are copies.

    The size says how many, `photos`, and from which range of `megapixels` each is drawn.
    """
    _write_all(folder, size, ())


def write_real_photos(folder: Path, size: Mapping[str, Any], _: Workshop) -> None:
    """Write files as `write_photos` does, but of real photographs, enlarged, as far as they go.

    Laid pictures share their patches, which keeps verification busy in a way that no collection of photographs does.
    """
    found = sorted(file for name in REAL for file in (SHARED / name).glob("**/*.jpg"))
    np.random.default_rng(0).shuffle(found)
    _write_all(folder, size, found)
    told = f"{min(len(found), size['photos']):,} of {size['photos']:,} real photographs, the rest laid from patches"
    (folder / "told.txt").write_text(told if found else "pictures laid from patches")


def _write_all(folder: Path, size: Mapping[str, Any], real: Sequence[Path]) -> None:
    sources, grain = load_photographs(), _make_grain()

    def make(number: int) -> bytes:
        rng = np.random.default_rng(number)
        if number < len(real):
            return _encode(_with_grain(rng, _enlarge(rng, real[number], size["megapixels"]), grain), 90)
        return _make_jpeg(rng, sources, grain, size["megapixels"])

    with ThreadPoolExecutor(available_cores()) as pool:
        groups = pool.map(partial(_write_group, folder, size["photos"], make), range(0, size["photos"], GROUP))
        planted = [pair for pairs in groups for pair in pairs]
    (folder / "planted.json").write_text(json.dumps(planted))


def load_photographs() -> list[Image.Image]:
    """Return the sample photographs.

    Raises:
        MissingExtraError: A package that carries them is not installed.
    """
    found = []
    for package, names in PHOTOGRAPHS.items():
        if find_spec(package) is None:
            raise MissingExtraError(f"the package {package}, whose photographs the benchmark uses,", "demo")
        for name in names:
            data = files(package).joinpath(*FOLDERS[package].split("/"), name).read_bytes()
            found.append(Image.open(io.BytesIO(data)).convert("RGB"))
    return found


def write_small_pictures(folder: Path, size: Mapping[str, Any], _: Workshop) -> None:
    """Write as many small JPEG files, `small`, of waves and boxes, each another one."""
    for start in range(0, size["small"], 1000):
        (folder / f"{start:06d}").mkdir()
        for number in range(start, min(start + 1000, size["small"])):
            data = encode_picture(make_picture(number, 96, 72), "JPEG", quality=90)
            (folder / f"{start:06d}" / f"{number:06d}.jpg").write_bytes(data)


def _write_group(folder: Path, n_photos: int, make: Callable[[int], bytes], start: int) -> list[tuple[str, str]]:
    files: dict[int, tuple[str, bytes]] = {}
    planted: list[tuple[str, str]] = []
    for number in range(start, min(start + GROUP, n_photos)):
        is_copy = number % GROUP == GROUP - 1
        data = _copied(files[number - 5][1], number) if is_copy else make(number)
        name = f"{DATASETS[number % 3]}/class-{number // 3 % N_CLASSES}/{number:05d}.jpg"
        files[number] = name, data
        if is_copy:
            planted.append((files[number - 5][0], name))
    for name, data in files.values():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return planted


def _enlarge(rng: np.random.Generator, file: Path, megapixels: Sequence[float]) -> Image.Image:
    with Image.open(file) as opened:
        photograph = opened.convert("RGB")
    factor = (rng.uniform(*megapixels) * 1e6 / (photograph.width * photograph.height)) ** 0.5
    size = int(photograph.width * factor), int(photograph.height * factor)
    return photograph.resize(size, Image.Resampling.BICUBIC)


def _make_jpeg(
    rng: np.random.Generator, sources: Sequence[Image.Image], grain: Image.Image, megapixels: Sequence[float]
) -> bytes:
    n_pixels, aspect = rng.uniform(*megapixels) * 1e6, rng.uniform(0.66, 1.5)
    width, height = int((n_pixels * aspect) ** 0.5), int((n_pixels / aspect) ** 0.5)
    picture = _piece(rng, sources, (width, height), (0.4, 0.9))
    for _ in range(N_PATCHES):
        patch = _piece(
            rng, sources, (int(width * rng.uniform(0.1, 0.4)), int(height * rng.uniform(0.1, 0.4))), (0.1, 0.4)
        )
        picture.paste(patch, (int(rng.uniform(0, width - patch.width)), int(rng.uniform(0, height - patch.height))))
    return _encode(_with_grain(rng, picture, grain), int(rng.integers(85, 94)))


def _piece(
    rng: np.random.Generator, sources: Sequence[Image.Image], size: tuple[int, int], share: tuple[float, float]
) -> Image.Image:
    """Cut a part of one photograph, `share` of its sides, and turn, mirror, recolour and resize it."""
    source = sources[rng.integers(len(sources))]
    width, height = (max(16, int(side * rng.uniform(*share))) for side in source.size)
    left, top = (int(rng.integers(0, side - part + 1)) for side, part in zip(source.size, (width, height), strict=True))
    piece = source.resize(size, Image.Resampling.BILINEAR, box=(left, top, left + width, top + height))
    piece = Image.merge("RGB", [piece.getchannel(int(channel)) for channel in rng.permutation(3)])
    piece = ImageOps.mirror(piece) if rng.random() < 0.5 else piece
    levels = np.arange(256) / 255
    curve = 255 * (levels if rng.random() < 0.8 else 1 - levels) ** rng.uniform(0.6, 1.7)
    return piece.point(curve.astype(np.uint8).tolist() * 3)


def _make_grain() -> Image.Image:
    """Return a field of noise around 128, larger than what is cut from it: drawing it anew would take longest."""
    noise = np.random.default_rng(0).normal(128, 5, (GRAIN_SIDE, GRAIN_SIDE))
    return Image.fromarray(noise.astype(np.uint8))


def _with_grain(rng: np.random.Generator, picture: Image.Image, grain: Image.Image) -> Image.Image:
    left, top = (int(rng.integers(0, GRAIN_SIDE - side)) for side in picture.size)
    field = grain.crop((left, top, left + picture.width, top + picture.height))
    return ImageChops.add(picture, Image.merge("RGB", [field] * 3), offset=-128)


def _copied(data: bytes, number: int) -> bytes:
    """Return the bytes themselves, or those of the picture recompressed, resized, or both."""
    edit = number // GROUP % 4
    if edit == 0:
        return data
    picture = Image.open(io.BytesIO(data))
    if edit > 1:
        picture = picture.resize((picture.width * 7 // 10, picture.height * 7 // 10), Image.Resampling.LANCZOS)
    return _encode(picture, 92 if edit == 2 else 60)


def _encode(picture: Image.Image, quality: int) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    return stream.getvalue()
