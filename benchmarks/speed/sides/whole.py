"""Whole runs on folders of images: every output of overlens, and the jobs of those who look for duplicates.

Nothing is imported or warmed up before the clock starts.
"""

import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

from speed.records import Answer

Job = Callable[[], Answer]
Pairs = Iterable[tuple[str, str]]

EXPECTED_STAGES = ("Features of ", "t-SNE")
"""Stages that hold decoding, encoding and t-SNE."""
TOLD = "told.txt"
DECLARED_OPERATORS = "nms", "qnms"
"""Of torchvision, and nothing that is measured calls them; the note of the row names them."""
ROW_BYTES = 1280 * 4 + 8
"""An embedding of the offline encoder and a hash."""


def compute_all(folder: Path, *, own: str, again: bool = False, **_: Any) -> Job:
    """Run the whole analysis of three datasets with every output; `again` runs it on what the first run has left."""

    def job() -> Answer:
        from overlens import analyze

        output = Path(own).parent / "computed"
        if not again:
            shutil.rmtree(output, ignore_errors=True)
        options = {"clip_model": "offline", "generate_few_shot": True, "evaluate_cross_dataset": True}
        result = analyze(_datasets(folder), output=output, **options)
        return Answer(f"every output of {(folder / TOLD).read_text()}", _shares(result.seconds))

    return job


def compute_features(folder: Path, *, part: str, own: str, **size: Any) -> Job:
    """Go from small pictures, as many as `size[part]`, to embeddings, hashes, pairs and verdicts, with no maps."""
    images = size[part]

    def job() -> Answer:
        from overlens import analyze

        output = Path(own) / "computed"
        shutil.rmtree(output, ignore_errors=True)
        analyze({"small": folder}, max_images=images, clip_model="offline", projections="none", output=output)
        return Answer(f"{images:,} images", {"rows_mb": images * ROW_BYTES / 2**20})

    return job


def duplicates_overlens(folder: Path, *, own: str, verify: bool, **_: Any) -> Job:
    """Look for duplicates by perceptual hash; with `verify`, each pair is judged by its pixels, too."""

    def job() -> Answer:
        from overlens import analyze

        output = Path(own) / "computed"
        shutil.rmtree(output, ignore_errors=True)
        options = {"method": "perceptual", "projections": "none", "no_verify": not verify}
        result = analyze({"photos": folder}, output=output, **options)
        if verify:
            groups = result.groups()
            members = ([name for _, name in groups.members_of(number)] for number in range(len(groups)))
            answer = save_names((pair for names in members for pair in combinations(names, 2)), own)
        else:
            answer = save_names(((one, two) for one, two, _ in result.pairs("perceptual", "photos").rows), own)
        return replace(answer, numbers=_shares(result.seconds))

    return job


def duplicates_imagededup(folder: Path, *, own: str, **_: Any) -> Job:
    """Look for duplicates by imagededup's perceptual hash at the distance that is overlens's default."""

    def job() -> Answer:
        _declare_torchvision()
        from imagededup.methods import PHash

        hasher = PHash(verbose=False)
        hashes = hasher.encode_images(str(folder), recursive=True)
        found = hasher.find_duplicates(encoding_map=hashes, max_distance_threshold=5)
        return save_names(((name, other) for name, others in found.items() for other in others), own, folder)

    return job


def duplicates_fastdup(folder: Path, *, own: str, **_: Any) -> Job:
    """Look for duplicates by fastdup's own embeddings and defaults."""

    def job() -> Answer:
        import fastdup

        shutil.rmtree(Path(own) / "work", ignore_errors=True)
        run = fastdup.create(input_dir=str(folder), work_dir=str(Path(own) / "work"))
        run.run(overwrite=True)
        near = run.similarity()
        return save_names(zip(near["filename_from"], near["filename_to"], strict=True), own, folder)

    return job


def duplicates_cleanvision(folder: Path, *, own: str, **_: Any) -> Job:
    """Look for exact and near duplicates with CleanVision."""

    def job() -> Answer:
        from cleanvision import Imagelab

        lab = Imagelab(data_path=str(folder))
        lab.find_issues({"exact_duplicates": {}, "near_duplicates": {}}, verbose=False)
        sets = [names for kind in ("exact_duplicates", "near_duplicates") for names in lab.info[kind]["sets"]]
        return save_names((pair for names in sets for pair in combinations(names, 2)), own, folder)

    return job


def duplicates_difpy(folder: Path, *, own: str, **_: Any) -> Job:
    """Look for duplicates and similar pictures with difPy."""

    def job() -> Answer:
        import difPy

        found = difPy.search(difPy.build(str(folder), show_progress=False), similarity="similar", show_progress=False)
        return save_names(((one, match[0]) for one, matches in found.result.items() for match in matches), own, folder)

    return job


def save_names(pairs: Pairs, own: str, folder: Path | None = None) -> Answer:
    """Keep pairs of names relative to the folder, each once."""

    def relative(name: str) -> str:
        path = Path(name)  # absolute, relative to where the process runs, or relative to the folder: each has its way
        inside = folder is not None and path.resolve().is_relative_to(folder)
        return (path.resolve().relative_to(folder) if folder and inside else path).as_posix()

    unique = {tuple(sorted((relative(str(one)), relative(str(two))))) for one, two in pairs}
    kept = sorted(pair for pair in unique if pair[0] != pair[1])
    (Path(own) / "names.json").write_text(json.dumps(kept))
    return Answer(f"{len(kept):,} pairs", files={"names": "names.json"})


def _datasets(folder: Path) -> dict[str, Path]:
    return {part.name: part for part in sorted(folder.iterdir()) if part.is_dir()}


def _shares(seconds: dict[str, float]) -> dict[str, float]:
    """Return the seconds of each stage as `stage: TITLE`, and the largest share of one that is not expected."""
    total = sum(seconds.values())
    others = [value for title, value in seconds.items() if not title.startswith(EXPECTED_STAGES)]
    stages = {f"stage: {title}": value for title, value in seconds.items()}
    return {**stages, "largest other share": max(others, default=0.0) / total}


def _declare_torchvision() -> None:
    """Let torchvision import beside a CPU build of torch, by declaring two operators that phash does not use.

    imagededup imports torchvision for its neural networks, and PyPI's build of it expects CUDA's torch.
    """
    import torch

    for name in DECLARED_OPERATORS:
        if not hasattr(torch.ops.torchvision, name):
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
