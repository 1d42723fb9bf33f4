"""The main job on the data it was written for: real artworks in the documented layout, and the published figures."""

import json
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

NAMES = ("ArtDL", "ICONCLASS", "wikidata")


def compute(*arguments: str) -> dict:
    command = [sys.executable, "-m", "overlens", "compute", "--clip-model=offline", "--json", *arguments]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, encoding="utf-8").stdout)


@pytest.fixture(scope="module")
def output(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("art")
    compute(
        f"--root={shared_data / 'art'}",
        f"--output={folder}",
        "--hash-threshold=8",
        "--generate-few-shot",
        "--k-shots=1",
        "--n-classes=4",
        "--evaluate-cross-dataset",
    )
    return folder


def pairs(path: Path) -> set[tuple[str, str]]:
    return {(first, second) for first, second, _ in json.loads(path.read_text(encoding="utf-8"))}


@pytest.mark.slow
def test_the_42_published_pairs_whose_images_are_present_are_found_and_no_other(output: Path, shared_data: Path):
    file = "dataset/cross/ArtDL_wikidata_perceptual_duplicates.json"
    published = pairs(shared_data / "art_published" / file)
    present = [set(json.loads(analysis(output, name, "names.json").read_text())) for name in ("ArtDL", "wikidata")]
    expected = {(first, second) for first, second in published if first in present[0] and second in present[1]}
    assert pairs(output / file) == expected
    assert len(expected) == 42


@pytest.mark.slow
def test_93_of_95_hashes_are_the_published_ones(output: Path, shared_data: Path):
    n_equal = n_images = 0
    for name in NAMES:
        published = dict(zip(*(load(analysis(shared_data / "art_published", name, f)) for f in FILES), strict=True))
        ours = dict(zip(*(load(analysis(output, name, file)) for file in FILES), strict=True))
        n_equal += sum(ours[key] == published[key] for key in ours)
        n_images += len(ours)
    assert (n_equal, n_images) == (93, 95)


@pytest.mark.slow
def test_every_documented_file_exists_and_opens(output: Path):
    files = [analysis(output, name, file) for name in NAMES for file in own_files(name)]
    files += [output / "dataset" / "cross" / file for file in cross_files()]
    for path in files:
        assert path.stat().st_size > 0, path
        if path.suffix == ".png":
            with Image.open(path) as image:
                image.load()
                assert min(image.size) > 100
        elif path.suffix == ".npy":
            assert np.load(path, allow_pickle=False).ndim == 2
        elif path.suffix == ".json":
            load(path)


@pytest.mark.slow
def test_labels_keep_their_ids_and_pictures_show_names(output: Path):
    assert "11HH(MARY MAGDALENE)" in load(analysis(output, "wikidata", "labels.json"))
    page = analysis(output, "wikidata", "tsne.html").read_text(encoding="utf-8")
    assert "Mary Magdalene" in page
    assert "MARY MAGDALENE" not in page
    assert "labels: 2_ground_truth.json" in page
    assert "not CLIP" in page


FILES = ("names.json", "hashes.json")


def load(path: Path) -> list[str]:
    return json.loads(path.read_text(encoding="utf-8"))


def analysis(root: Path, name: str, file: str) -> Path:
    return root / "dataset" / f"{name}-data" / "analysis" / file


def own_files(name: str) -> list[str]:
    files = ["embeddings.npy", "names.json", "labels.json", "hashes.json", "failures.csv"]
    files += [f"{method}.{end}" for method in ("tsne", "umap") for end in ("html", "png", "csv")]
    for method in ("cosine", "perceptual"):
        files += [f"{method}_duplicates.json", f"{name}_duplicate_examples_{method}.png"]
    splits = f"{name}_few_shot_splits"
    files += [
        f"{splits}/{s}_1shot_4classes_seed{i}.json" for s in ("random", "stratified", "long_tail") for i in (0, 2)
    ]
    return files


def cross_files() -> list[str]:
    files = ["overlap.json"]
    for first, second in combinations(NAMES, 2):
        for method in ("cosine", "perceptual"):
            files += [f"{first}_{second}_{method}_duplicates.json", f"{first}_{second}_duplicate_examples_{method}.png"]
        files += [
            f"cross_dataset_{a}_{b}.{end}" for a, b in ((first, second), (second, first)) for end in ("json", "png")
        ]
    for method in ("tsne", "umap"):
        files += [f"combined_{method}_by_{by}.{end}" for by in ("dataset", "label") for end in ("html", "png")]
        files += [f"combined_{method}.csv"]
    return [*files, "venn_diagram_cosine.png", "venn_diagram_perceptual.png"]
