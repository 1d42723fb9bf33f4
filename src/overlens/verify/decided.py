"""Lay people's decisions over the pairs of a run.

A decision is on two files; it holds for every pair of images with pixels equal to theirs, so that copies of a copy need
no decision of their own. What is decided to be a copy is looked at even where no signal proposed it. Equal files and
pixels are a fact and no opinion: they cannot be decided away.

Shapes: n images in all, m pairs, k pairs that people decided.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overlens.candidates.copies import join_pairs, pair_keys
from overlens.candidates.find import CandidatePairs
from overlens.candidates.signals import Signals, Sources, measure_signals
from overlens.decisions.honoured import HonouredDecisions, Names
from overlens.decisions.records import ANSWERS, COPY, UNSURE, Decision, Pair, code_of, digest_answers, in_order
from overlens.digests import DIGEST_BYTES
from overlens.groups.find import NO_GROUP, Groups
from overlens.tables import valid_text
from overlens.verdicts import EDITED
from overlens.verify.judged import JudgedPairs

Rows = NDArray[np.int32]
RowPair = tuple[int, int]


@dataclass(slots=True)
class PlacedDecisions:
    """The decisions that were there when a run began, by the rows of its images; filled by `place`, in their order.

    Attributes:
        latest: The decisions that count.
        first: `(n,)` int32, the first row with the same pixels as each.
        first_file: `(n,)` int32, the first row with the same bytes as each, of files that people decided on.
        by_picture: First rows with the same pixels, the lower one first -> code of the answer.
        by_file: Of equal pixels: first rows with the same bytes, the lower one first -> code of the answer.
        applied: First rows with the same pixels -> answer and two rows of the files, of what changes or confirms
            verdicts.
        wanted: First rows with the same pixels -> rows of a pair that was decided to be a copy; it is looked at.
        counts: What became of the decisions that are not applied; "equal": copies that are equal anyway.
        contradicted: Rows of the files of decisions that the images contradict.
        digest: What they say in all, see `overlens.decisions.records.digest_answers`.
    """

    latest: Mapping[Pair, Decision]
    first: Rows
    first_file: Rows
    by_picture: dict[RowPair, int] = field(default_factory=dict)
    by_file: dict[RowPair, int] = field(default_factory=dict)
    applied: dict[RowPair, list[tuple[str, RowPair]]] = field(default_factory=dict)
    wanted: dict[RowPair, RowPair] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    contradicted: list[RowPair] = field(default_factory=list)
    digest: str = ""

    def add_to(self, candidates: CandidatePairs, sources: Sources) -> CandidatePairs:
        """Return the candidates, and those pairs that were decided to be copies, sorted by left and right."""
        if not self.wanted:
            return candidates
        pictures, rows = (np.array(list(part), np.int32) for part in (self.wanted, self.wanted.values()))
        known = _keys(self.first[candidates.left], self.first[candidates.right])
        new = rows[~np.isin(_keys(pictures[:, 0], pictures[:, 1]), known)]
        return _add_pairs(candidates, new, sources) if len(new) else candidates

    def codes_of(self, candidates: CandidatePairs) -> NDArray[np.uint8]:
        """Return `(m,)` uint8, the code (`code_of`) of the answer on each pair; 0 for none."""
        left, right = candidates.left, candidates.right
        codes = _look_up(self.by_picture, self.first[left], self.first[right])
        files = _look_up(self.by_file, self.first_file[left], self.first_file[right])
        return np.where(self.first[left] == self.first[right], files, codes)

    def honoured(self, judged: JudgedPairs, groups: Groups, keys: Sequence[Sequence[str]]) -> HonouredDecisions | None:
        """Return what became of the decisions; None if there are none.

        Args:
            judged: The pairs with their final verdicts.
            groups: The groups that they make.
            keys: Names of the images of each dataset, for examples.
        """
        if not self.latest:
            return None
        changed, joined = self._changed(judged), self._joined(groups)
        answers = Counter(answer for entries in self.applied.values() for answer, _ in entries)
        answers[COPY] += self.counts["equal"]
        return HonouredDecisions(
            honoured={answer: answers[answer] for answer in ANSWERS if answer != UNSURE},
            n_unsure=self.counts[UNSURE],
            n_not_in_run=self.counts["not in run"],
            n_contradicted=self.counts["contradicted"],
            n_overruled=self.counts["overruled"],
            n_within_reference=self.counts["within reference"],
            n_changed=sum(len(entries) for pair, entries in self.applied.items() if pair in changed),
            n_joined=len(joined),
            first_contradicted=_name(self.contradicted, groups, keys),
            first_joined=_name(joined, groups, keys),
            digest=self.digest,
        )

    def _changed(self, judged: JudgedPairs) -> set[RowPair]:
        is_changed = (judged.verdicts <= EDITED) != (judged.machine_verdicts <= EDITED)
        sides = [self.first[side[is_changed]].tolist() for side in (judged.candidates.left, judged.candidates.right)]
        return {_ordered(*pair) for pair in zip(*sides, strict=True)}

    def _joined(self, groups: Groups) -> list[RowPair]:
        apart = [pair for entries in self.applied.values() for answer, pair in entries if answer != COPY]
        of = groups.group_of
        return [(left, right) for left, right in apart if of[left] == of[right] != NO_GROUP]

    def place(self, decision: Decision, rows: RowPair, wanted: RowPair | None) -> None:
        """Take a decision that is later than those before, on files in these rows; `wanted` may be looked at."""
        left, right = rows
        code, pictures = code_of(decision.answer), _ordered(int(self.first[left]), int(self.first[right]))
        if pictures[0] == pictures[1]:
            self.by_file[_ordered(int(self.first_file[left]), int(self.first_file[right]))] = code
            kind = {COPY: "equal", UNSURE: UNSURE}.get(decision.answer, "contradicted")
            self.counts[kind] += 1
            self.contradicted.extend([rows] * (kind == "contradicted"))
        elif decision.answer == UNSURE:
            self.counts[UNSURE] += 1
            self.counts["overruled"] += len(self.applied.pop(pictures, []))
            self.wanted.pop(pictures, None)
            self.by_picture[pictures] = code
        elif wanted is None:
            self.counts["within reference"] += 1
        else:
            self._apply(decision.answer, pictures, rows)
            self.wanted.pop(pictures, None)
            if decision.answer == COPY:
                self.wanted[pictures] = wanted

    def _apply(self, answer: str, pictures: RowPair, rows: RowPair) -> None:
        entries = self.applied.get(pictures, [])
        self.counts["overruled"] += sum(earlier != answer for earlier, _ in entries)
        self.applied[pictures] = [*(entry for entry in entries if entry[0] == answer), (answer, rows)]
        self.by_picture[pictures] = code_of(answer)


def place_decisions(
    latest: Mapping[Pair, Decision], sources: Sources, first: Rows, reference: str | None
) -> PlacedDecisions:
    """Find the images that people decided on.

    Args:
        latest: The decisions that count; of those on equal pixels the latest by its time holds.
        sources: The images.
        first: `(n,)` int32, the first row with the same pixels as each.
        reference: Dataset whose images are not paired with one another, or None.
    """
    rows_of = _find_files({digest for pair in latest for digest in pair}, sources)
    first_file = np.arange(len(first), dtype=np.int32)
    for rows in rows_of.values():
        first_file[rows] = rows[0]
    placed = PlacedDecisions(latest, first, first_file)
    partners = _Partners(sources, first, reference)
    placed.digest = digest_answers(latest.values(), {one: int(first[rows[0]]) for one, rows in rows_of.items()})
    for decision in in_order(latest.values()):
        if any(digest not in rows_of for digest in decision.pair):
            placed.counts["not in run"] += 1
            continue
        one, other = decision.pair
        left, right = rows_of[one][0], rows_of[other][-1 if one == other else 0]
        placed.place(decision, (left, right), partners.pair(left, right))
    return placed


class _Partners:
    """Which rows may stand for two images in a pair: not both of the reference."""

    def __init__(self, sources: Sources, first: Rows, reference: str | None) -> None:
        roster = sources.roster
        number = -1 if reference is None else roster.number_of(reference)
        self._first = first
        self._is_inside = np.repeat(np.arange(len(roster.sizes)) == number, roster.sizes)
        outside = np.flatnonzero(~self._is_inside)[::-1]
        self._outside = np.full(len(first), -1, np.int32)
        self._outside[first[outside]] = outside  # of several the last entry stays: the lowest row

    def pair(self, left: int, right: int) -> RowPair | None:
        """Return two rows with pixels equal to those of `left` and `right`, the lower first; None if all are inside."""
        out_left, out_right = (int(self._outside[self._first[row]]) for row in (left, right))
        for one, other in ((left, right), (out_left, right), (left, out_right)):
            if min(one, other) >= 0 and not (self._is_inside[one] and self._is_inside[other]):
                return _ordered(one, other)
        return None


def _find_files(wanted: set[bytes], sources: Sources) -> dict[bytes, list[int]]:
    """Return the rows of the files with these digests, ascending."""
    found: dict[bytes, list[int]] = {}
    if wanted:
        row = 0
        for part in sources.evidence:
            data = part.byte_digests.tobytes()
            for start in range(0, len(data), DIGEST_BYTES):
                if (digest := data[start : start + DIGEST_BYTES]) in wanted:
                    found.setdefault(digest, []).append(row)
                row += 1
    return found


def _look_up(codes: Mapping[RowPair, int], left: Rows, right: Rows) -> NDArray[np.uint8]:
    """Return `(m,)` uint8 codes of pairs of rows, in whatever order they come; 0 where there is none."""
    if not codes:
        return np.zeros(len(left), np.uint8)
    known, values = np.array(list(codes), np.int32), np.array(list(codes.values()), np.uint8)
    keys, wanted = _keys(known[:, 0], known[:, 1]), _keys(left, right)
    order = np.argsort(keys)
    places = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)]
    return np.where(keys[places] == wanted, values[places], np.uint8(0))


def _add_pairs(candidates: CandidatePairs, new: Rows, sources: Sources) -> CandidatePairs:
    left, right = join_pairs([(candidates.left, candidates.right), (new[:, 0], new[:, 1])])
    is_known = np.isin(_keys(left, right), _keys(candidates.left, candidates.right))
    signals = measure_signals(sources, left[~is_known], right[~is_known])
    columns: dict[str, Any] = {}
    for name in Signals.__slots__:
        known, added = getattr(candidates, name), getattr(signals, name)
        columns[name] = np.empty((len(left), *known.shape[1:]), known.dtype)
        columns[name][is_known], columns[name][~is_known] = known, added
    return replace(candidates, left=left, right=right, **columns)


def _keys(one: Rows, other: Rows) -> NDArray[np.int64]:
    """Return one number for each pair of rows, in whatever order they come."""
    return pair_keys(np.minimum(one, other), np.maximum(one, other))


def _ordered(one: int, other: int) -> RowPair:
    return (one, other) if one <= other else (other, one)


def _name(pairs: Sequence[RowPair], groups: Groups, keys: Sequence[Sequence[str]]) -> Names | None:
    """Return dataset and name of both images of the first pair."""
    if not pairs:
        return None
    rows = np.array(_ordered(*pairs[0]))
    (owner, other), (row, other_row) = groups.roster.dataset_of(rows).tolist(), groups.roster.local(rows).tolist()
    names = groups.roster.datasets[owner], keys[owner][row], groups.roster.datasets[other], keys[other][other_row]
    return tuple(map(valid_text, names))  # type: ignore[return-value]  # mypy forgets the length
