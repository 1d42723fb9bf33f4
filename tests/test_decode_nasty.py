"""Broken and hostile files: each decodes, or fails with a reason; which do which is known."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL
import pytest

from overlens.decode import MAX_PIXELS, decode_rgb
from overlens.errors import DecodeError

# The manifest was written by a reader that goes through all frames and asks for EXIF before the pixels.
READ_HERE = {
    "nasty_pillow/pillow.ico": "the manifest's reader takes it for TGA; it is an ICO and opens as one",
    "nasty_pillow/psd-oob-write.psd": "only the second layer is out of bounds; the first frame is whole",
    "nasty_pillow/psd-oob-write-x.psd": "only the second layer is out of bounds; the first frame is whole",
}
FAILS_HERE = {
    "nasty_pillow/truncated_end_chunk.png": "the file ends within its last chunk: truncated files fail",
    "nasty_pillow/apng/chunk_no_fctl.png": "chunks are out of order, which Pillow reports when it reads the pixels",
}


@pytest.fixture(scope="module")
def manifest(shared_data):
    with (shared_data / "nasty_pillow" / "MANIFEST.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.fixture(scope="module")
def outcomes(shared_data, manifest) -> dict[str, np.ndarray | DecodeError]:
    return {row["path"]: decode_or_error(shared_data / row["path"]) for row in manifest}


def decode_or_error(path: Path) -> np.ndarray | DecodeError:
    try:
        return decode_rgb(path.read_bytes())
    except DecodeError as error:
        return error


def test_exactly_the_known_files_fail(manifest, outcomes):
    known = {row["path"] for row in manifest if row["status"] != "ok"}
    assert len(manifest) == 393
    assert len(known) == 37
    failed = {path for path, outcome in outcomes.items() if isinstance(outcome, DecodeError)}
    assert failed == known - set(READ_HERE) | set(FAILS_HERE)


def test_every_failure_has_a_short_plain_reason(outcomes):
    reasons = [str(outcome) for outcome in outcomes.values() if isinstance(outcome, DecodeError)]
    assert all(20 < len(reason) < 200 for reason in reasons), reasons
    assert not [reason for reason in reasons if "0x" in reason or "\n" in reason or "object at" in reason]


def test_every_picture_has_the_size_the_manifest_states(manifest, outcomes):
    for row in manifest:
        pixels = outcomes[row["path"]]
        if isinstance(pixels, DecodeError) or row["path"] in READ_HERE:
            continue
        assert pixels.dtype == np.uint8, row["path"]
        assert pixels.shape[2] == 3, row["path"]
        assert 0 < pixels.shape[0] * pixels.shape[1] <= MAX_PIXELS, row["path"]
        # Orientations 5 to 8 lie on their side; Pillow turns TIFF itself and may state either size.
        assert sorted(pixels.shape[:2]) == sorted((int(row["h"]), int(row["w"]))), row["path"]


@pytest.mark.parametrize("folder", ["hash_repo_images", "imagededup_ukbench", "singletons", "transparent_stamps"])
def test_only_the_files_known_to_be_broken_fail(shared_data, folder):
    paths = [path for path in sorted((shared_data / folder).rglob("*")) if path.suffix.lower() in IMAGES]
    assert len(paths) >= 15
    failed = {path.name for path in paths if isinstance(decode_or_error(path), DecodeError)}
    assert failed == BROKEN.get(folder, set())


IMAGES = {".jpg", ".jpeg", ".png", ".gif", ".webp", ".tif", ".tiff", ".bmp", ".svg", ".ppm", ".pgm", ".pbm", ".mpo"}
BROKEN = {"imagededup_ukbench": {"ukbench09268_corrupt.jpg"}}  # the .svg is a JPEG in truth, and content decides


def test_damaged_files_write_nothing_to_stderr(shared_data):
    code = (
        "import pathlib, sys\nfrom overlens.decode import decode_rgb\nfrom overlens.errors import DecodeError\n"
        "for path in sorted(pathlib.Path(sys.argv[1]).rglob('*.tif*')):\n"
        "    try:\n        decode_rgb(path.read_bytes())\n    except DecodeError:\n        pass\n"
    )
    command = [sys.executable, "-c", code, str(shared_data / "nasty_pillow")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    if list((Path(PIL.__file__).parent.parent / "pillow.libs").glob("libtiff*")):
        assert done.stderr == ""
