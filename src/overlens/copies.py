"""Which images are copies of one another: candidates, verdicts, groups and the overlap they make, in this order.

Nothing is read but the evidence and renditions that extraction kept, and what people decided.

Shapes: n images in all, m candidate pairs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from overlens.candidates.copies import MOST_FULL, find_equal
from overlens.candidates.find import CandidateConfig, CandidatePairs, count_candidate_comparisons, find_candidates
from overlens.candidates.signals import Sources
from overlens.config import HASH_TYPES, MAX_DISTANCE_BITS, MIN_SIMILARITY, RunConfig
from overlens.cores import available_cores
from overlens.decisions.honoured import HonouredDecisions
from overlens.decisions.store import DecisionStore
from overlens.engines import Engine
from overlens.evidence import MIN_DETAIL, Evidence, evidence_fingerprint
from overlens.features import KnownImages, decoder_version
from overlens.groups.find import Groups, KeepRule, find_groups
from overlens.groups.measure import VerifiedOverlap, measure_groups
from overlens.hashes.compute import ORIENTED_SIZE
from overlens.layout import CrossLayout
from overlens.progress import Progress
from overlens.records import Features
from overlens.roster import Roster
from overlens.store.pairs import Keys, PairStore, make_keys
from overlens.verdicts import EDITED, VERIFIED
from overlens.verify.decided import place_decisions
from overlens.verify.judge import RULE_VERSION, PairJudge, Verdicts, judge_candidates, needs_look, rule_fingerprint
from overlens.verify.judged import FINDING, REFUTED, JudgedPairs
from overlens.verify.spread import spread_verdicts


@dataclass(frozen=True, slots=True)
class LookAlikes:
    """How alike a pair must be to be listed although its pixels do not agree: as the thresholds of the run ask.

    Where a threshold is left to calibration, or the run's hash is not of 64 bits, the default stands in.

    Attributes:
        min_cosine: Least cosine similarity.
        hash_type: The hash that counts, of 64 bits, in any orientation.
        max_distance_bits: Largest Hamming distance by it.
    """

    min_cosine: float
    hash_type: str
    max_distance_bits: int

    @classmethod
    def of(cls, config: RunConfig) -> "LookAlikes":
        """Return what counts in a run."""
        stated, is_short = config.pairs, config.hashing.hash_size == ORIENTED_SIZE
        cosine = MIN_SIMILARITY if stated.min_similarity is None else stated.min_similarity
        bits = stated.max_distance_bits if is_short and stated.max_distance_bits is not None else MAX_DISTANCE_BITS
        return cls(cosine, config.hashing.hash_type, bits)

    def hold(self, candidates: CandidatePairs) -> NDArray[np.bool_]:
        """Return `(m,)` whether each pair is so alike."""
        near = candidates.distances[:, HASH_TYPES.index(self.hash_type)] <= self.max_distance_bits
        return np.asarray((candidates.cosine >= np.float32(self.min_cosine)) | near)

    def to_json(self) -> dict[str, object]:
        """Return what `overlap.json` holds of it."""
        return {
            "min_cosine": self.min_cosine,
            "hash_type": self.hash_type,
            "max_distance_bits": self.max_distance_bits,
        }


@dataclass(frozen=True, slots=True)
class Copies:
    """Everything that verification found.

    Attributes:
        roster: The datasets and their kept images, numbered through.
        evidence: Evidence of each dataset, in the order of the roster.
        judged: Every candidate pair with its verdict.
        groups: Images that belong together by verified pairs.
        overlap: The overlap that the groups make.
        n_low_information: Dataset -> images that are too flat to be told by anything but their bytes or pixels.
        search: How candidates were found.
        keep: Rule of the representative.
        reference: Dataset within which nothing was looked for, or None.
        look_alikes: What makes a pair that is no copy a look-alike.
        n_looked_at: Pairs whose pixels were compared, in this run or in an earlier one.
        n_large_classes: Classes of equal images so large that not all their pairs are listed.
        uses_embeddings: Whether embeddings proposed candidates, too; else only files, pixels and hashes did.
        first: `(n,)` int32, the first image with the same pixels as each, numbered through.
        decisions: What became of people's decisions, or None if there are none.
    """

    roster: Roster
    evidence: Sequence[Evidence]
    judged: JudgedPairs
    groups: Groups
    overlap: VerifiedOverlap
    n_low_information: Mapping[str, int]
    search: CandidateConfig
    keep: str
    reference: str | None
    look_alikes: "LookAlikes"
    n_looked_at: int
    n_large_classes: int
    uses_embeddings: bool
    first: NDArray[np.int32]
    decisions: HonouredDecisions | None = None

    @property
    def n_equal(self) -> int:
        """Listed pairs of images with equal bytes or pixels, which need no look."""
        return int(np.count_nonzero(~needs_look(self.judged.candidates)))

    @property
    def n_inferred(self) -> int:
        """Pairs with the verdict of another pair, of images that equal theirs."""
        return int(np.count_nonzero(self.judged.is_inferred))

    @property
    def n_refuted(self) -> int:
        """Candidate pairs that neither their pixels nor the run's thresholds support."""
        return int(np.count_nonzero(self.judged.verdicts == REFUTED))

    def images_by_rung(self) -> dict[tuple[str, str], dict[str, int]]:
        """Count the images of A that have a copy in B by the least sure rung that this needs.

        Returns:
            (A, B) -> verified rung -> number of images of A that are in B by this rung and surer ones, and would not be
            by surer ones alone; B may be A, unless A is the reference.
        """
        edges, names = self.judged.edges, self.roster.datasets
        couples = [(name, other) for name in names for other in names if not name == other == self.reference]
        counted = {couple: dict.fromkeys(VERIFIED, 0) for couple in couples}
        before = dict.fromkeys(couples, 0)
        for code, rung in enumerate(VERIFIED):
            surest = edges.chosen(edges.verdicts <= code)
            overlap = measure_groups(find_groups(self.roster, surest, KeepRule("first")), surest).overlap
            for name, other in couples:
                n_images = (overlap.within[name] if name == other else overlap.contained[name][other]) or 0
                counted[name, other][rung] = n_images - before[name, other]
                before[name, other] = n_images
        return counted

    def least_sure(self, first: str, second: str, n: int) -> tuple[NDArray[np.intp], int]:
        """Return the verified pairs of two datasets, or within one, that are most worth a look.

        Args:
            first: A dataset.
            second: Another one, or the same.
            n: How many pairs, each of a group of its own.

        Returns:
            Places among the judged pairs, the least sure rung and the weakest pair first; and the number of all
            verified pairs there.
        """
        pairs, numbers = self.judged.candidates, sorted(map(self.roster.number_of, (first, second)))
        owners = self.roster.dataset_of(pairs.left), self.roster.dataset_of(pairs.right)
        is_here = (owners[0] == numbers[0]) & (owners[1] == numbers[1])
        places = np.flatnonzero(is_here & (self.judged.verdicts <= EDITED))
        order = np.lexsort((places, self.judged.strengths[places], -self.judged.verdicts[places].astype(np.int16)))
        ordered = places[order]
        _, of_group = np.unique(self.groups.group_of[pairs.left[ordered]], return_index=True)
        return ordered[np.sort(of_group)[:n]], len(places)

    def to_json(self) -> dict[str, object]:
        """Return what `overlap.json` holds of the verified overlap, with what it rests on."""
        return {
            "basis": {
                "rule": RULE_VERSION,
                "candidates_by": ["bytes", "pixels", *HASH_TYPES, *(["embedding"] if self.uses_embeddings else [])],
                "max_candidates": self.search.max_per_image,
                "neighbours": self.search.neighbours,
                "min_cosine": self.search.min_cosine,
                "max_hash_distances": dict(self.search.max_distance_bits),
                "min_detail": MIN_DETAIL,
                "most_equal": MOST_FULL,
                "look_alike_from": self.look_alikes.to_json(),
                "keep": self.keep,
            },
            "n_looked_at": self.n_looked_at,
            "n_refuted": self.n_refuted,
            "n_equal": self.n_equal,
            "n_inferred": self.n_inferred,
            "n_classes_not_listed_whole": self.n_large_classes,
            "n_images_at_candidate_bound": self.judged.candidates.n_capped,
            "n_low_information": dict(self.n_low_information),
            **({} if self.decisions is None else {"decisions": self.decisions.to_json()}),
            **self.overlap.to_json(),
        }


def find_copies(
    config: RunConfig, features: Sequence[Features], known: Sequence[KnownImages], engine: Engine, progress: Progress
) -> Copies:
    """Find and judge every pair that may be a copy, within the datasets and between them.

    Args:
        config: Bound of candidates, reference dataset, rule of the representative, thresholds of look-alikes.
        features: Features of each dataset.
        known: The same images with their evidence.
        engine: Runs the judging.
        progress: Shows how far it has come.

    Raises:
        StoreError: A stored rendition, or the file of decisions, is damaged.
    """
    latest = DecisionStore(CrossLayout(config.output_root).decisions).latest()
    sources = _gather_sources(features, known)
    roster = sources.roster
    first = find_equal(sources, None).first
    decided = place_decisions(latest, sources, first, config.reference)
    search = CandidateConfig(max_per_image=config.verification.max_candidates)
    candidates = decided.add_to(_find_candidates(search, config.reference, sources, progress), sources)
    n_looked_at = int(np.count_nonzero(needs_look(candidates)))
    verdicts = Verdicts(_open_verdicts(config), _keys(candidates, sources))
    judge = PairJudge(roster, [images.renditions() for images in known], config.workers or available_cores())
    with progress.stage("Verification", n_looked_at, "pairs") as stage, judge:
        judged = judge_candidates(candidates, judge, verdicts, engine=engine, stage=stage)
    look_alikes = LookAlikes.of(config)
    judged = judged.refuting(~look_alikes.hold(candidates)).deciding(decided.codes_of(candidates))
    judged = spread_verdicts(judged, sources, first, config.reference)
    groups = _group(config, sources, judged)
    return Copies(
        roster,
        sources.evidence,
        judged,
        groups,
        measure_groups(groups, judged.edges, config.reference),
        _count_flat(sources),
        search,
        config.verification.keep,
        config.reference,
        look_alikes,
        n_looked_at,
        n_large_classes=int(np.count_nonzero(np.bincount(first) > MOST_FULL)),
        uses_embeddings=sources.embeddings is not None,
        first=first,
        decisions=decided.honoured(judged, groups, [one.keys for one in features]),
    )


def _count_flat(sources: Sources) -> dict[str, int]:
    counts = (int(one.low_information.sum()) for one in sources.evidence)
    return dict(zip(sources.roster.datasets, counts, strict=True))


def _group(config: RunConfig, sources: Sources, judged: JudgedPairs) -> Groups:
    n_pixels = np.concatenate([one.sizes_px.astype(np.int64).prod(axis=1) for one in sources.evidence])
    return find_groups(sources.roster, judged.edges, KeepRule(config.verification.keep, n_pixels, config.reference))


def without_images(known: KnownImages, keys: frozenset[str]) -> KnownImages:
    """Return the images of a dataset without those of these keys."""
    kept = [place for place, key in enumerate(known.keys) if key not in keys]
    return replace(
        known,
        rows=tuple(known.rows[place] for place in kept),
        stamps=tuple(known.stamps[place] for place in kept),
        digests=tuple(known.digests[place] for place in kept),
    )


def _gather_sources(features: Sequence[Features], known: Sequence[KnownImages]) -> Sources:
    roster = Roster(tuple(one.dataset for one in features), tuple(one.n_kept for one in features))
    embeddings = [one.embeddings for one in features if one.embeddings is not None]
    evidence = tuple(images.evidence() for images in known)
    return Sources(roster, evidence, embeddings if len(embeddings) == len(features) else None)


def _find_candidates(
    search: CandidateConfig, reference: str | None, sources: Sources, progress: Progress
) -> CandidatePairs:
    has_embeddings = sources.embeddings is not None
    total = count_candidate_comparisons(sources.roster, with_embeddings=has_embeddings, reference=reference)
    with progress.stage("Candidates", total, "comparisons") as stage:
        return find_candidates(sources, search, reference=reference, progress=stage.advance)


def _open_verdicts(config: RunConfig) -> PairStore:
    """Open the store of verdicts: they depend on two renditions, and those on their files and on how they are made."""
    decoder = decoder_version(scaled=config.scaled_decode)
    fingerprint = {**rule_fingerprint(), **evidence_fingerprint(), "decoder": decoder}
    return PairStore.open(CrossLayout(config.output_root).store, "verdicts", fingerprint, FINDING)


def _keys(candidates: CandidatePairs, sources: Sources) -> Keys:
    digests = [one.byte_digests for one in sources.evidence]
    return make_keys(*(sources.roster.gather(digests, rows) for rows in (candidates.left, candidates.right)))
