"""Run overlens on a set with known copies, and hold what it verified against what is known.

A known pair counts as found if it is verified itself, or, in the second number, if both images stand in one group. A
verified pair that nobody listed is wrong only if somebody looked: `judged.csv` holds those judgements, and a pair
without one is listed as such and counted as wrong.
"""

import csv
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

import overlens
from overlens.analysis import Analysis
from overlens.verdicts import VERDICTS, VERIFIED

Image = tuple[str, str]
Pair = tuple[Image, Image]
JUDGED = Path(__file__).with_name("judged.csv")
SIGNALS = ("coarse_correlation", "fine_correlation", "local_correlation", "agreeing_share", "n_inliers", "inlier_share")
SHOWN = 60
"""Lines of a list that are printed; the rest is counted."""


def make_pair(first: Image, second: Image) -> Pair:
    """Return a pair whose order does not depend on who comes first."""
    return (first, second) if first <= second else (second, first)


@dataclass(frozen=True, slots=True)
class Known:
    """One list of known pairs of a set.

    Attributes:
        name: What it is called.
        pairs: The known copies.
        counts: Whether a pair is of the kind that the list speaks of; others are not scored by it.
        min_recall: What is asked for, 0 to 1.
        min_precision: What is asked for, 0 to 1.
        max_wrong_share: Wrong pairs that are allowed for each image; None where precision is what counts.
        scenes: Pairs that must be called the same scene.
    """

    name: str
    pairs: frozenset[Pair]
    counts: Callable[[Pair], bool] = lambda _: True
    min_recall: float = 1.0
    min_precision: float = 0.0
    max_wrong_share: float | None = None
    scenes: frozenset[Pair] = frozenset()


@dataclass(frozen=True, slots=True)
class Case:
    """A set of images to run overlens on.

    Attributes:
        name: What it is called.
        datasets: Name -> folder, or None for the documented layout under the root.
        known: What is known of it.
        locate: Path of an image, for contact sheets.
        options: Options besides the default ones.
    """

    name: str
    datasets: Mapping[str, Path | None]
    known: Sequence[Known]
    locate: Callable[[Image], Path]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """What overlens said of a set.

    Attributes:
        rows: Pair -> its row of `pairs.parquet`.
        refuted: Candidate pairs that verification refuted; they are in no file.
        group_of: Image -> number of its group.
        n_images: Images of all datasets.
        seconds: Time of each stage.
    """

    rows: Mapping[Pair, Mapping[str, Any]]
    refuted: Mapping[Pair, Mapping[str, Any]]
    group_of: Mapping[Image, int]
    n_images: int
    seconds: Mapping[str, float]

    @property
    def verified(self) -> list[Pair]:
        """The pairs of the first four rungs."""
        return [pair for pair, row in self.rows.items() if row["verdict"] in VERIFIED]

    def verdict(self, pair: Pair) -> str:
        """Return what became of a pair."""
        if pair in self.rows:
            return str(self.rows[pair]["verdict"])
        return "refuted" if pair in self.refuted else "no candidate"

    def signals(self, pair: Pair) -> str:
        """Return the evidence of a pair in one line."""
        row = self.rows.get(pair) or self.refuted.get(pair)
        if row is None:
            return ""
        values = [f"{name.split('_')[0]} {row[name]:.2f}" for name in SIGNALS[:4] if row[name] is not None]
        return ", ".join([*values, f"inliers {row['n_inliers']}"])

    def is_grouped(self, pair: Pair) -> bool:
        """Whether both images are in one group."""
        numbers = [self.group_of.get(image) for image in pair]
        return numbers[0] is not None and numbers[0] == numbers[1]


@dataclass(frozen=True, slots=True)
class Score:
    """How what was found answers one list.

    Attributes:
        known: The list.
        found: Known pairs that are verified.
        grouped: Known pairs whose images are in one group.
        unlisted: Verified pairs that are not on the list.
        right: Those of them that somebody looked at and called copies.
        n_images: Images of all datasets.
        scenes: Pairs of `known.scenes` that were called the same scene.
    """

    known: Known
    found: frozenset[Pair]
    grouped: frozenset[Pair]
    unlisted: frozenset[Pair]
    right: frozenset[Pair]
    n_images: int
    scenes: frozenset[Pair]

    @property
    def recall(self) -> float:
        """Share of the known pairs that are verified themselves; 1 if none are known."""
        return len(self.found) / len(self.known.pairs) if self.known.pairs else 1.0

    @property
    def listed_precision(self) -> float:
        """Share of the verified pairs that are on the list."""
        n_verified = len(self.found) + len(self.unlisted)
        return len(self.found) / n_verified if n_verified else 1.0

    @property
    def precision(self) -> float:
        """Share of the verified pairs that are on the list or were called copies by who looked."""
        n_verified = len(self.found) + len(self.unlisted)
        return (len(self.found) + len(self.right)) / n_verified if n_verified else 1.0

    @property
    def wrong(self) -> frozenset[Pair]:
        """Verified pairs that are neither listed nor called copies."""
        return self.unlisted - self.right

    @property
    def is_met(self) -> bool:
        """Whether what is asked for was reached."""
        limit = self.known.max_wrong_share
        is_precise = self.precision >= self.known.min_precision
        if limit is not None:
            is_precise = len(self.wrong) <= limit * self.n_images
        return self.recall >= self.known.min_recall and is_precise and self.scenes == self.known.scenes


def run_case(case: Case, output: Path, **options: Any) -> Found:
    """Run overlens with its default settings and the offline encoder, and read what it wrote."""
    settings = {"clip_model": "offline", "projections": "none", "output": output, **case.options, **options}
    analysis = overlens.analyze(case.datasets, **settings)
    pairs, groups = (
        pq.read_table(output / "dataset" / "cross" / f"{name}.parquet").to_pylist() for name in ("pairs", "groups")
    )
    return Found(
        rows={_pair_of(row): row for row in pairs},
        refuted=_refuted(analysis),
        group_of={(row["dataset"], row["image"]): row["group"] for row in groups},
        n_images=sum(features.n_kept for features in analysis.datasets.values()),
        seconds=analysis.seconds,
    )


def _pair_of(row: Mapping[str, Any]) -> Pair:
    return make_pair((row["dataset_a"], row["image_a"]), (row["dataset_b"], row["image_b"]))


def _refuted(analysis: Analysis) -> dict[Pair, dict[str, Any]]:
    """Return the candidates that are in no file, with what was measured of them."""
    if analysis.copies is None:
        raise ValueError("the run verified nothing")
    judged = analysis.copies.judged
    images = [(name, key) for name, features in analysis.datasets.items() for key in features.keys]
    rows = np.flatnonzero(judged.verdicts >= len(VERDICTS)).tolist()
    columns = (judged.coarse, judged.fine, judged.local, judged.agreeing, judged.n_inliers, judged.inlier_shares)
    lefts, rights = judged.candidates.left, judged.candidates.right
    return {
        make_pair(images[lefts[row]], images[rights[row]]): {
            "verdict": "refuted",
            **{name: column[row].item() for name, column in zip(SIGNALS, columns, strict=True)},
        }
        for row in rows
    }


def score(known: Known, found: Found) -> Score:
    """Hold what was found against one list."""
    verified = frozenset(pair for pair in found.verified if known.counts(pair))
    return Score(
        known=known,
        found=verified & known.pairs,
        grouped=frozenset(pair for pair in known.pairs if found.is_grouped(pair)),
        unlisted=verified - known.pairs,
        right=(verified - known.pairs) & read_judgements(),
        n_images=found.n_images,
        scenes=frozenset(pair for pair in known.scenes if found.verdict(pair) == "same_scene"),
    )


def read_judgements() -> frozenset[Pair]:
    """Return the pairs that somebody looked at and called copies."""
    if not JUDGED.exists():
        return frozenset()
    with JUDGED.open(encoding="utf-8", newline="") as stream:
        return frozenset(_pair_of(row) for row in csv.DictReader(stream) if row["copy"] == "yes")


def print_score(case: Case, found: Found, scored: Score) -> None:
    """Print how one list was answered, with every pair that is missed or not listed."""
    known = scored.known
    missed = sorted(known.pairs - scored.found)
    n_candidates = sum(found.verdict(pair) != "no candidate" for pair in known.pairs)
    verdicts = Counter(found.verdict(pair) for pair in known.pairs)
    print(f"\n{case.name}: {known.name}")
    print(f"  known pairs {len(known.pairs)}: {_spell(verdicts)}")
    print(f"  candidates {n_candidates}; verified {len(scored.found)}; in one group {len(scored.grouped)}")
    print(f"  verified pairs not listed {len(scored.unlisted)}, of them judged copies {len(scored.right)}")
    print(f"  recall {scored.recall:.4f}, precision {scored.precision:.4f} (by the list {scored.listed_precision:.4f})")
    if known.scenes:
        print(f"  same scene: {len(scored.scenes)} of {len(known.scenes)}")
    _print_list("missed", missed, found)
    _print_list("not listed", sorted(scored.unlisted), found, marked=scored.right)
    print(f"  asked for: {_spell_ask(known)}: {'met' if scored.is_met else 'NOT MET'}")


def write_signals(file: Path, case: str, found: Found, known: Known) -> None:
    """Append the evidence of every candidate to a CSV file, with whether the pair is known."""
    is_new = not file.exists()
    with file.open("a", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        if is_new:
            writer.writerow(["set", "list", "image_a", "image_b", "known", "verdict", *SIGNALS])
        for pair, row in [*found.rows.items(), *found.refuted.items()]:
            if known.counts(pair):
                is_known = int(pair in known.pairs)
                names = ["/".join(image) for image in pair]
                writer.writerow([case, known.name, *names, is_known, row["verdict"], *(row[name] for name in SIGNALS)])


def print_times(found: Found) -> None:
    """Print how many candidates there were and how long judging them took."""
    n_candidates, seconds = len(found.rows) + len(found.refuted), found.seconds["Verification"]
    print(
        f"  {found.n_images} images, {n_candidates} candidates, {n_candidates / max(seconds, 1e-6):.0f} judged a second"
    )


def _print_list(title: str, pairs: Sequence[Pair], found: Found, marked: frozenset[Pair] = frozenset()) -> None:
    for (one, two), note in [(pair, f"{found.verdict(pair)}, {found.signals(pair)}") for pair in pairs[:SHOWN]]:
        judged = " [judged a copy]" if (one, two) in marked else ""
        print(f"    {title}: {'/'.join(one)} x {'/'.join(two)}: {note}{judged}")
    if len(pairs) > SHOWN:
        print(f"    {title}: and {len(pairs) - SHOWN} more")


def _spell(counts: Mapping[str, int]) -> str:
    order = [*VERDICTS, "refuted", "no candidate"]
    return ", ".join(f"{name} {counts[name]}" for name in order if counts.get(name)) or "none"


def _spell_ask(known: Known) -> str:
    parts = [f"recall {known.min_recall:.4g}"] if known.pairs and known.min_recall else []
    if known.max_wrong_share is not None:
        parts.append(f"at most {1000 * known.max_wrong_share:g} wrong pairs in 1,000 images")
    elif known.min_precision:
        parts.append(f"precision {known.min_precision:g}")
    if known.scenes:
        parts.append(f"{len(known.scenes)} pairs called the same scene")
    return ", ".join(parts)
