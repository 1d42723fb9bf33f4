"""Remove copies from datasets on paper, and prove that none is left: find, decide, look again, write.

What remains is searched and verified once more, as a collection of its own (`overlens.dedupe.settle`). Features come
from the store, so looking again decodes nothing; it costs the search and the verification, and the embeddings of what
remains in memory.

Images, lists and labels of the user are only read. A dry run writes features and nothing else.
"""

import csv
import shutil
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import numpy as np

from overlens import __version__
from overlens.atomic import new_folder, replaced_file, sole_writer, write_json
from overlens.config import DatasetSpec, RunConfig
from overlens.copies import find_copies, without_images
from overlens.dedupe.removal import REMOVAL_COLUMNS, RemovalRule, name_of, removal_rows
from overlens.dedupe.settle import FindPairs, Found, Settled, settle
from overlens.encoders.base import Encoder
from overlens.engines import Engine, make_engine
from overlens.errors import ConfigError
from overlens.features import KnownImages
from overlens.layout import CrossLayout
from overlens.notices import tell
from overlens.planning import plan_images
from overlens.prepared import prepared_images
from overlens.progress import Progress
from overlens.records import Features
from overlens.sources.cleaned import CleanedRequest, check_cleaned, input_layout, write_cleaned
from overlens.verdicts import VERDICTS, VERIFIED

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class CleanedLayout:
    """What is written of datasets without copies."""

    root: Path

    @property
    def folder(self) -> Path:
        """Folder of all of it, replaced as a whole."""
        return CrossLayout(self.root).folder / "cleaned"

    @property
    def removed(self) -> Path:
        """The removal list."""
        return self.folder / "removed.csv"

    @property
    def audit(self) -> Path:
        """What was looked at, what was removed, and what is left."""
        return self.folder / "audit.json"


@dataclass(frozen=True, slots=True)
class Deduped:
    """The result of `dedupe`.

    Attributes:
        config: What was asked for.
        rule: What stays beside the representatives.
        settled: What is to be removed, and what is left.
        n_failed: Dataset -> images that could not be used, and so were not looked at.
        problems: What differed when the written files were read again.
        cleaned: Dataset -> what to give as `NAME=PATH`; empty if nothing was written.
        notices: Sentences that the user should read.
    """

    config: RunConfig
    rule: RemovalRule
    settled: Settled
    n_failed: Mapping[str, int]
    problems: tuple[str, ...] = ()
    cleaned: Mapping[str, Path] | None = None
    notices: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing verified is left, and what was written reads as it should."""
        return not len(self.settled.left) and not self.problems

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Yield the removal list, as `overlens.removal.REMOVAL_COLUMNS`."""
        return removal_rows(self.settled.removal, self.settled.whole.roster, self.settled.whole.keys)

    def left_pairs(self) -> list[list[object]]:
        """Return the pairs that are left: dataset, image, dataset, image, verdict, strength."""
        whole, left = self.settled.whole, self.settled.left
        return [
            [*name_of(one, whole.roster, whole.keys), *name_of(two, whole.roster, whole.keys), VERDICTS[v], round(s, 4)]
            for one, two, v, s in zip(
                left.left.tolist(), left.right.tolist(), left.verdicts.tolist(), left.strengths.tolist(), strict=True
            )
        ]

    def to_json(self) -> dict[str, Any]:
        """Return what `audit.json` holds."""
        settled = self.settled
        return {
            "overlens": __version__,
            "keep": self.config.verification.keep,
            "reference": self.rule.reference,
            "across_only": self.rule.across_only,
            "passed": self.passed,
            "n_removed": len(settled.removal),
            "n_left_by_round": list(settled.n_left),
            "n_images_at_candidate_bound": settled.last.n_capped,
            "datasets": {name: self._numbers(place) for place, name in enumerate(settled.whole.roster.datasets)},
            "left": self.left_pairs(),
            "problems": list(self.problems),
            "notices": list(self.notices),
        }

    def _numbers(self, place: int) -> dict[str, Any]:
        whole = self.settled.whole
        name, n_kept = whole.roster.datasets[place], whole.roster.sizes[place]
        reasons = self.settled.removal.count_reasons(whole.roster)[place]
        return {
            "attempted": n_kept + self.n_failed[name],
            "looked_at": n_kept,
            "failed": self.n_failed[name],
            "low_information": (whole.n_low_information or {}).get(name, 0),
            "removed": int(reasons.sum()),
            "remaining": n_kept - int(reasons.sum()),
            "removed_by_reason": {reason: int(n) for reason, n in zip(VERIFIED, reasons, strict=False)},
        }


def dedupe(
    config: RunConfig,
    *,
    across_only: bool = False,
    apply: bool = False,
    progress: Progress | None = None,
    encoder: Encoder | None = None,
) -> Deduped:
    """Find which images to remove so that each picture is left once, look again at what remains, and write it.

    Args:
        config: The datasets, the encoder, the rule of the representative and the reference.
        across_only: Leave copies within one dataset alone.
        apply: Write the removal list, the audit and the cleaned lists; else only features are written.
        progress: Shows how far it has come; by default nothing is shown.
        encoder: An encoder object to use instead of the one that `config` names.

    Raises:
        ConfigError: The request cannot work.
        OverlensError: As a run would stop.
    """
    _require_workable(config, across_only=across_only)
    progress = progress or Progress()
    plan = plan_images(config, encoder)
    with sole_writer(CrossLayout(config.output_root).mark):
        engine = make_engine(config.engine)
        rule = RemovalRule(config.reference, across_only)
        with prepared_images(config, plan, engine, progress) as (known, material):
            find = make_search(config, material.features, known, engine, progress)
            settled = settle(find, config.verification.keep, rule)
        n_failed = {images.listing.dataset: images.listing.n_attempted - len(images.rows) for images in known}
        result = Deduped(config, rule, settled, n_failed, notices=plan.notices)
        result = replace(result, notices=(*result.notices, *_notices(result)))
        return _write(result, known) if apply else result


def make_search(
    config: RunConfig,
    features: Sequence[Features],
    known: Sequence[KnownImages],
    engine: Engine,
    progress: Progress,
) -> FindPairs:
    """Return the search among images whose features are known."""

    def find(without: Mapping[str, AbstractSet[str]]) -> Found:
        some = [_without_rows(one, without.get(one.dataset, frozenset())) for one in features]
        images = [without_images(one, frozenset(without.get(one.listing.dataset, ()))) for one in known]
        copies = find_copies(config, some, images, engine, progress)
        n_pixels = [one.sizes_px.astype(np.int64).prod(axis=1) for one in copies.evidence]
        return Found(
            copies.roster,
            tuple(one.keys for one in some),
            copies.judged.edges.verified(),
            np.concatenate(n_pixels),
            copies.judged.candidates.n_capped,
            copies.n_low_information,
        )

    return find


def write_removal(path: Path, rows: Iterator[tuple[str, ...]]) -> None:
    """Write the removal list as CSV: every text quoted, every name exact, whatever it holds.

    Bytes of file names that are not UTF-8 are written as they are (Python: `errors="surrogateescape"`).
    """
    with replaced_file(path) as stream:
        text = TextIOWrapper(stream, encoding="utf-8", errors="surrogateescape", newline="")
        # Quoted, a carriage return or a space at the end of a name is safe as well.
        writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(REMOVAL_COLUMNS)
        writer.writerows(rows)
        text.flush()
        text.detach()


def _require_workable(config: RunConfig, *, across_only: bool) -> None:
    if config.from_embeddings:
        raise ConfigError("--from-embeddings has no images, so no copy can be verified; leave it out to remove copies")
    if not config.verify:
        raise ConfigError("only verified copies are removed; leave out --no-verify")
    if len(config.datasets) < 2 and (across_only or config.reference is not None):
        option = "--across-only" if across_only else "--reference"
        raise ConfigError(f"{option} needs two datasets or more; name another with --datasets, or leave it out")
    folder = CleanedLayout(config.output_root).folder.resolve()
    for spec in config.datasets:
        for place in _input_places(spec, config.root):
            if folder.is_relative_to(place) or place.is_relative_to(folder):
                raise ConfigError(
                    f"what remains is written to {folder}, and {spec.name} is read from {place}; "
                    "choose a folder apart from it with --output"
                )


def _input_places(spec: DatasetSpec, root: Path) -> list[Path]:
    layout = input_layout(spec, root)
    places = [layout.images, layout.data] if layout is not None else [spec.path or root]
    return [place.resolve() for place in places]


def _without_rows(features: Features, keys: AbstractSet[str]) -> Features:
    if not keys:
        return features
    rows = [row for row, key in enumerate(features.keys) if key not in keys]
    return replace(
        features,
        keys=tuple(features.keys[row] for row in rows),
        labels=tuple(features.labels[row] for row in rows),
        embeddings=None if features.embeddings is None else features.embeddings[rows],
        hashes=None if features.hashes is None else features.hashes[rows],
    )


def _notices(result: Deduped) -> list[str]:
    lines: list[str] = []
    for place, name in enumerate(result.settled.whole.roster.datasets):
        numbers = result._numbers(place)
        if numbers["looked_at"] and not numbers["remaining"]:
            lines += tell(name, ["WARNING: all its images would be removed; name it with --reference to keep them"])
        if numbers["failed"]:
            lines += tell(name, [f"{numbers['failed']} images could not be used, were not looked at, and stay"])
    n_odd = sum(row[1].startswith(_FORMULA_STARTS) or row[4].startswith(_FORMULA_STARTS) for row in result.rows())
    if n_odd:
        words = f"{n_odd} lines hold names that a spreadsheet would take for a formula; import the columns as text"
        lines += tell("removed.csv", [words])
    return lines


def _write(result: Deduped, known: Sequence[KnownImages]) -> Deduped:
    """Write everything below a new folder that takes the place of the one of an earlier run."""
    layout = CleanedLayout(result.config.output_root)
    with new_folder(layout.folder) as folder:
        write_removal(folder / layout.removed.name, result.rows())
        if result.passed:
            result = _write_lists(result, known, folder)
        write_json(folder / layout.audit.name, result.to_json())
        shutil.rmtree(layout.folder, ignore_errors=True)
    return replace(result, cleaned={name: layout.folder / path for name, path in (result.cleaned or {}).items()})


def _write_lists(result: Deduped, known: Sequence[KnownImages], folder: Path) -> Deduped:
    removed, config = result.settled.removed_keys(), result.config
    cleaned: dict[str, Path] = {}
    notices, problems = [*result.notices], []
    for spec, images in zip(config.datasets, known, strict=True):
        request = CleanedRequest(spec, config.root, images.listing, removed[spec.name], config.use_ground_truth)
        written = write_cleaned(request, folder)
        cleaned[spec.name] = written.path
        notices += tell(spec.name, written.notices)
        problem = check_cleaned(request, folder, written)
        problems += [f"{spec.name}: {problem}"] * bool(problem)
    return replace(result, cleaned=cleaned, notices=tuple(notices), problems=tuple(problems))
