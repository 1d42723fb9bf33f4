"""Remove copies from datasets on paper, and prove that none is left: find, decide, look again, write.

What remains is searched and verified once more, as a collection of its own (`overlens.dedupe.settle`). Features come
from the store, so looking again decodes nothing; it costs the search and the verification, and the embeddings of what
remains in memory.

Images, lists and labels of the user are only read. A dry run writes features and verdicts to their stores, and nothing
else. Good lists stay until better ones take their place: an audit that fails is written beside them, not over them.
"""

import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from overlens.atomic import replaced_folder, sole_writer, write_json
from overlens.config import RunConfig
from overlens.copies import find_copies, without_images
from overlens.counted import counted
from overlens.dedupe.removal import REMOVAL_COLUMNS, RemovalRule, name_of, removal_rows
from overlens.dedupe.settle import FindPairs, Found, Settled, settle
from overlens.encoders.base import Encoder
from overlens.engines import Engine, make_engine
from overlens.errors import ConfigError
from overlens.features import KnownImages
from overlens.layout import CleanedLayout, CrossLayout
from overlens.notices import tell
from overlens.planning import plan_images, require_apart
from overlens.prepared import prepared_images
from overlens.progress import Progress
from overlens.records import Failure, Features
from overlens.sources.cleaned import CleanedRequest, check_cleaned, list_left_out, write_cleaned
from overlens.tables import is_formula, rounded, write_csv
from overlens.verdicts import VERDICTS, VERIFIED
from overlens.version import __version__


@dataclass(frozen=True, slots=True)
class Deduped:
    """The result of `dedupe`.

    Attributes:
        config: What was asked for.
        rule: What stays beside the representatives.
        settled: What is to be removed, and what is left.
        n_failed: Dataset -> images that could not be used, and so were not looked at.
        problems: What differed when the written lists were read again; then they were discarded.
        cleaned: Dataset -> what to give as `NAME=PATH`; empty if the audit failed, None if nothing was written.
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

    @property
    def layout(self) -> CleanedLayout:
        """Where it is written: what failed has a place of its own, so that earlier lists stay."""
        cross = CrossLayout(self.config.output_root)
        return CleanedLayout(cross.cleaned if self.passed else cross.failed_audit)

    def n_remaining(self, dataset: str) -> int:
        """Number of images of a dataset that were looked at and stay."""
        return int(self.count_images(dataset)["remaining"])

    def count_images(self, dataset: str) -> dict[str, Any]:
        """Return how many images of a dataset were attempted, looked at, removed (by reason, too) and so on."""
        whole = self.settled.whole
        place = whole.roster.number_of(dataset)
        n_kept = whole.roster.sizes[place]
        reasons = self.settled.removal.count_reasons(whole.roster)[place]
        return {
            "attempted": n_kept + self.n_failed[dataset],
            "looked_at": n_kept,
            "failed": self.n_failed[dataset],
            "low_information": (whole.n_low_information or {}).get(dataset, 0),
            "removed": int(reasons.sum()),
            "remaining": n_kept - int(reasons.sum()),
            "removed_by_reason": {reason: int(n) for reason, n in zip(VERIFIED, reasons, strict=False)},
        }

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Yield the removal list, as `overlens.dedupe.removal.REMOVAL_COLUMNS`."""
        return removal_rows(self.settled.removal, self.settled.whole.roster, self.settled.whole.keys)

    def left_pairs(self) -> list[list[object]]:
        """Return the pairs that are left: dataset, image, dataset, image, verdict, strength."""
        whole, left = self.settled.whole, self.settled.left
        return [
            [
                *name_of(one, whole.roster, whole.keys),
                *name_of(two, whole.roster, whole.keys),
                VERDICTS[v],
                rounded(s, 4),
            ]
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
            "datasets": {name: self.count_images(name) for name in settled.whole.roster.datasets},
            **({} if settled.whole.decisions is None else {"decisions": settled.whole.decisions.to_json()}),
            "left": self.left_pairs(),
            "problems": list(self.problems),
            "notices": list(self.notices),
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
        result = replace(result, notices=(*result.notices, *_notices(result, known)))
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
            copies.decisions,
        )

    return find


def _require_workable(config: RunConfig, *, across_only: bool) -> None:
    if config.from_embeddings:
        raise ConfigError(
            "--from-embeddings reads no images, and only copies whose pictures were held against one another are "
            "removed; leave it out and name the images: --datasets NAME=FOLDER (what is merely alike is listed by "
            "overlens compute --from-embeddings)"
        )
    if not config.verify:
        raise ConfigError("--no-verify cannot be had here: only verified copies are removed; leave it out")
    if across_only and len(config.datasets) < 2:
        raise ConfigError("--across-only needs two datasets or more; name another with --datasets, or leave it out")
    cross = CrossLayout(config.output_root)
    require_apart(config, replaced=(cross.cleaned, cross.failed_audit))


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


def _notices(result: Deduped, known: Sequence[KnownImages]) -> list[str]:
    decisions = result.settled.whole.decisions
    lines = [] if decisions is None else tell("decisions", decisions.warnings())
    for spec, images in zip(result.config.datasets, known, strict=True):
        name = spec.name
        numbers = result.count_images(name)
        if numbers["looked_at"] and not numbers["remaining"]:
            advice = "" if result.rule.reference else "; name it with --reference to keep them"
            lines += tell(name, [f"WARNING: all its images are copies to remove{advice}"])
        left_out = list_left_out(spec, result.config.root, images.listing)
        lines += tell(name, [*_tell_left_out(left_out)])
        if n_staying := numbers["failed"] - len(left_out):
            words = "image could not be used, was not looked at, and stays"
            many = "images could not be used, were not looked at, and stay"
            share = n_staying / (n_staying + numbers["remaining"])
            allowance = math.ceil(100 * share)
            advice = f"; allow them with --max-failures {allowance}%" if share > result.config.max_failures else ""
            lines += tell(name, [counted(n_staying, words, many) + advice])
    n_odd = sum(is_formula(row[1]) or is_formula(row[4]) for row in result.rows())
    if n_odd:
        odd = counted(n_odd, "line holds a name", "lines hold names")
        words = f"{odd} that a spreadsheet would take for a formula; import the columns as text"
        lines += tell(result.layout.removed.name, [words])
    return lines


def _tell_left_out(left_out: Sequence[Failure]) -> Iterator[str]:
    for reason in dict.fromkeys(failure.reason for failure in left_out):
        keys = [failure.key for failure in left_out if failure.reason == reason]
        such = "" if len(keys) == 1 else "such as "
        yield f"{counted(len(keys), 'image is', 'images are')} left out of what remains ({such}{keys[0]}): {reason}"


def _write(result: Deduped, known: Sequence[KnownImages]) -> Deduped:
    """Write everything below a new folder that takes the place of that of an earlier run, or what failed beside it."""
    cross = CrossLayout(result.config.output_root)
    if not result.passed:
        return _write_failed(result)
    try:
        with replaced_folder(cross.cleaned, cross.earlier_cleaned) as folder:
            result = _write_lists(result, known, folder)
            _write_audit(result, folder)
    except _ReadWronglyError as error:
        return _write_failed(replace(result, problems=error.problems))
    for failed in (cross.failed_audit, cross.earlier_failed_audit):
        shutil.rmtree(failed, ignore_errors=True)
    return replace(result, cleaned={name: cross.cleaned / path for name, path in (result.cleaned or {}).items()})


def _write_failed(result: Deduped) -> Deduped:
    """Write the removal list and the audit that failed where they take nothing's place but that of another such."""
    cross = CrossLayout(result.config.output_root)
    if cross.cleaned.exists():
        words = f"what an earlier run wrote stays; this run's audit failed, and is in {cross.failed_audit}"
        result = replace(result, notices=(*result.notices, *tell(str(cross.cleaned), [words])))
    result = replace(result, cleaned={})
    with replaced_folder(cross.failed_audit, cross.earlier_failed_audit) as folder:
        _write_audit(result, folder)
    return result


def _write_audit(result: Deduped, folder: Path) -> None:
    layout = CleanedLayout(folder)
    write_csv(layout.removed, REMOVAL_COLUMNS, result.rows(), exact=True)
    write_json(layout.audit, result.to_json())


class _ReadWronglyError(Exception):
    """Lists that were written do not read as what remains, so nothing may take the place of good ones."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


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
    if problems:
        raise _ReadWronglyError(problems)
    return replace(result, cleaned=cleaned, notices=tuple(notices))
