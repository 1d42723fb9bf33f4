"""The review desk without its wires: what each request of the page is answered with.

The store is the truth, and any number of windows and processes write to it: what is new in it is read before anything
is said. The page shows what the pixels say, also of a pair that people decided before the run, so that a second judge
is not led by the first. What was shown of a pair is kept with the decision on it.

Shapes: m listed pairs.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overlens.config import HASH_TYPES
from overlens.decisions.records import (
    ANSWERS,
    COPY,
    MOST_NOTE,
    UNSURE,
    DecidedImage,
    Decision,
    Occasion,
    Pair,
    code_of,
    pair_of,
)
from overlens.decisions.store import DecisionStore
from overlens.decisions.table import decisions_csv, import_decisions, parse_decisions
from overlens.digests import DIGEST_BYTES
from overlens.errors import DecodeError, StoreError
from overlens.evidence import RENDITION_PX
from overlens.finished import FinishedRun
from overlens.finished_pairs import RUNGS, evidence_of, words_of
from overlens.image_table import NO_NUMBER, NamedDigests
from overlens.recall.measure import wilson_interval
from overlens.report.style import dataset_colour
from overlens.review.answers import AnswerReader, Answers
from overlens.review.audit import Estimate
from overlens.review.pairs import ListedPairs, PairIndex
from overlens.review.pictures import GoneError, Pictures
from overlens.review.points import fitting_points
from overlens.review.queue import PairFilter, is_judged, order_pairs, select_pairs
from overlens.review.sample import ORIGIN as SAMPLE_ORIGIN
from overlens.review.sample import AuditResult, AuditSample, draw_sample, own_answers
from overlens.verdicts import EDITED, VERIFIED

ORIGIN = "desk"
MOST_SESSION, MOST_IMPORTED_BYTES = 100, 20 * 1024 * 1024
N_POINTS_KEPT, N_SELECTIONS_KEPT = 512, 4


class UnknownError(Exception):
    """What is asked for is not in the run."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a window says of a pair.

    Attributes:
        pair: The files.
        left: Place of the image that it shows on the left.
        answer: One of `overlens.decisions.records.ANSWERS`.
        session: The window.
        seen: Number of the decision on the pair that it shows, 0 for none.
        is_open: Whether what the program says was open to see.
        note: What the person remarked.
    """

    pair: Pair
    left: int
    answer: str
    session: str
    seen: int
    is_open: bool
    note: str = ""


class Desk:
    """A run and its decisions; several threads may ask at once."""

    def __init__(self, run: FinishedRun, *, sample: tuple[int, int] | None = None) -> None:
        """Read the pairs of a run.

        Args:
            run: The run.
            sample: Size and seed of an audit sample to draw.

        Raises:
            ConfigError: The run judged no pairs, or the sample is too small.
            StoreError: The pairs cannot be read.
        """
        self.run, self.pairs = run, ListedPairs.read(run)
        self.pictures = Pictures(run)
        self.sample: AuditSample | None = None if sample is None else draw_sample(run.images, self.pairs, *sample)
        self.store = DecisionStore(run.layout.decisions)
        if sample is not None:
            self.store.record_sample(*sample)
        self.hash_type = str(run.numbers["methods"].get("perceptual", {}).get("hash_type", HASH_TYPES[0]))
        self._index = PairIndex.build(run.images, self.pairs)
        self._answers = AnswerReader(self.store, self._index)
        self._finding = Lock()
        self._order = lru_cache(None)(lambda order: order_pairs(self.pairs, order))
        self._of_sample = np.zeros(len(self.pairs), np.bool_)
        if self.sample is not None:
            self._of_sample[self.sample.places] = True
        # Neither depends on what people say, and a page is asked for again after every answer.
        self._select = lru_cache(N_SELECTIONS_KEPT)(self._selected)
        self._points = lru_cache(N_POINTS_KEPT)(self._found_points)

    # ---- what is shown ----

    def describe_run(self) -> dict[str, Any]:
        """Return what the page must know of the run."""
        images = self.run.images
        counts = np.bincount(images.datasets, minlength=len(images.dataset_names)).tolist()
        datasets = [
            {"name": name, "colour": dataset_colour(place), "n": counts[place]}
            for place, name in enumerate(images.dataset_names)
        ]
        return {
            "datasets": datasets,
            "rungs": [[code, *words, code in VERIFIED] for code, words in RUNGS.items()],
            "classes": sorted(set(images.label_names)),
            "n_pairs": len(self.pairs),
            "version": self.run.version,
            "hash": self.hash_type,
            "limits": {"note": MOST_NOTE, "import_bytes": MOST_IMPORTED_BYTES, "rendition_px": RENDITION_PX},
            "title": ", ".join(images.dataset_names),
            "sample": self._sample_progress(self._answers.read()),
        }

    def list_pairs(self, wanted: PairFilter, order: str, offset: int, limit: int) -> dict[str, Any]:
        """Return some of the pairs that a filter lets through."""
        answers = self._answers.read()
        is_wanted = self.select(wanted, answers.codes)
        sample = self.sample if wanted.is_sample else None
        places = self._order(order) if sample is None or order != "doubt" else sample.places
        places = places[is_wanted[places]]
        is_open = answers.codes[places] == 0
        shown = places[offset : offset + limit].tolist()
        return {
            "n": len(places),
            "offset": offset,
            "first_open": int(is_open.argmax()) if is_open.any() else -1,
            "pairs": [self._shown(place, answers) for place in shown],
        }

    def select(self, wanted: PairFilter, codes: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Return `(m,)` which pairs a filter lets through; raises ConfigError if it names what is not known."""
        wanted.require_known(self.run.datasets)
        return self._select(replace(wanted, judged="any")) & is_judged(codes, wanted.judged)

    def _selected(self, wanted: PairFilter) -> NDArray[np.bool_]:
        found = select_pairs(self.run.images, self.pairs, wanted, self.hash_type)
        return found & self._of_sample if wanted.is_sample else found

    def _shown(self, place: int, answers: Answers) -> dict[str, Any]:
        pairs, sides = self.pairs, self._sides(place)
        row = pairs.row(place)
        digests = self.pairs.files_of(self.run.images, place)
        decision = answers.latest.get(digests)
        return {
            "id": "-".join(digest.hex() for digest in digests),
            "left": self._image(sides[0]),
            "right": self._image(sides[1]),
            "machine": row["machine_verdict"],
            "strength": row["strength"],
            "cosine": row["cosine"],
            "bits": row[f"{self.hash_type}_bits"],
            "words": words_of(self.run.images, row, sides),
            "evidence": [list(one) for one in evidence_of(row)],
            "transform": row["transform"],
            **_counting(decision),
            "note": "" if decision is None else decision.note,
        }

    def _image(self, row: int) -> dict[str, Any]:
        images = self.run.images
        label = int(images.labels[row])
        return {
            "row": row,
            "dataset": images.dataset(row),
            "name": images.name(row),
            "label": "" if label == NO_NUMBER else images.label_names[label],
            "width": int(images.sizes_px[row, 0]),
            "height": int(images.sizes_px[row, 1]),
        }

    def points(self, pair: Pair, left: int | None) -> list[tuple[float, float, float, float]]:
        """Return the features of two files that fit; of the pair whose left image is `left`, if several have them.

        Raises:
            UnknownError: The run lists no such pair.
            GoneError: A picture cannot be had any more.
        """
        places = self._find(pair)
        chosen = [place for place in places if self.pairs.left[place] == left] or places
        with self._finding:
            return self._points(chosen[0])

    def _found_points(self, place: int) -> list[tuple[float, float, float, float]]:
        transform = self.pairs.row(place)["transform"]
        if transform is None:
            return []
        try:
            left, right = map(self.run.picture, self._sides(place))
        except (DecodeError, StoreError) as error:
            raise GoneError from error
        return fitting_points(left, right, transform)

    # ---- what people say ----

    def decide(self, said: Said) -> int:
        """Keep an answer; it is on the disk when this returns its number in the log.

        Raises:
            UnknownError: The run lists no such pair.
            ConfigError: The answer is not known.
            OverruledError: Somebody else said something that this window did not show.
            StoreError: It cannot be kept.
        """
        places = self._find(said.pair)
        place = next((one for one in places if self.pairs.left[one] == said.left), places[0])
        left, right = map(self._decided, self._sides(place))
        origin = self._origin(places, said.pair)
        shown = {**self._evidence(place), "open": said.is_open}
        occasion = Occasion(origin, said.session, shown, said.note)
        return self.store.decide(left, right, said.answer, occasion, seen=said.seen).number

    def _origin(self, places: list[int], pair: Pair) -> str:
        """Return where an answer is made: for the sample only in its order, else it would be a choice and no draw."""
        answers = self._answers.read()
        order = self.pairs.left[:0] if self.sample is None else self.sample.places
        own = np.flatnonzero(np.isin(order, places))
        if self.sample is not None and len(own) and (answers.codes[order[: own[0]]] > 0).all():
            return self.sample.origin
        before = answers.latest.get(pair)  # who says it again makes it no other choice
        return before.origin if before is not None and before.origin.startswith(SAMPLE_ORIGIN) else ORIGIN

    def undo(self, session: str, number: int | None) -> dict[str, Any]:
        """Take back the last answer of a window, or a certain one, whoever gave it; say what counts there now.

        Raises:
            OverruledError: The certain one does not count.
            StoreError: Nothing can be kept.
        """
        undone = self.store.undo(session) if number is None else self.store.take_back(number)
        if undone is None:
            return {"undone": None, **_counting(None)}
        before = self._answers.read().latest.get(undone.pair)
        return {"undone": "-".join(digest.hex() for digest in undone.pair), **_counting(before)}

    def progress(self, wanted: PairFilter) -> dict[str, Any]:
        """Return how many of the pairs that a filter lets through were judged, and how right the pixels were."""
        answers = self._answers.read()
        places = self._index.once(self.select(wanted, answers.codes))
        codes = answers.codes[places]
        verified = codes[self.pairs.machine_rungs[places] <= EDITED]
        counts = np.bincount(codes, minlength=len(ANSWERS) + 1).tolist()
        return {
            "version": answers.version,
            "n_pairs": len(codes),
            "n_judged": int((codes > 0).sum()),
            "by_answer": dict(zip(ANSWERS, counts[1:], strict=True)),
            "precision": _precision(verified),
            "sample": self._sample_progress(answers),
        }

    def export_csv(self) -> str:
        """Return the decisions that count as a table."""
        return decisions_csv(self.store.latest())

    def import_csv(self, text: str) -> dict[str, int]:
        """Take in a table of decisions; raises ConfigError if a line cannot be used."""
        made = import_decisions(self.store, parse_decisions(text, NamedDigests(self.run.images)))
        return {"n_added": made.n_added, "n_same": made.n_known, "n_older": made.n_older}

    def _sample_progress(self, answers: Answers) -> dict[str, Any] | None:
        if self.sample is None:
            return None
        is_own = own_answers(self.sample, self.run.images, self.pairs, answers.latest)
        return _result_json(self.sample.result(answers.codes, is_own))

    def _evidence(self, place: int) -> dict[str, object]:
        row, sides = self.pairs.row(place), self._sides(place)
        left, right = ([self.run.images.dataset(side), self.run.images.name(side)] for side in sides)
        return {
            "left": left,
            "right": right,
            "verdict": row["machine_verdict"],
            "strength": row["strength"],
            "words": words_of(self.run.images, row, sides),
            "measured": [list(one) for one in evidence_of(row)],
        }

    # ---- which pair ----

    def _find(self, pair: Pair) -> list[int]:
        found: list[int] = self._index.find(pair).tolist()
        if not found:
            raise UnknownError("the run lists no such pair")
        return found

    def _sides(self, place: int) -> tuple[int, int]:
        return int(self.pairs.left[place]), int(self.pairs.right[place])

    def _decided(self, row: int) -> DecidedImage:
        images = self.run.images
        return DecidedImage(images.digest(row), images.dataset(row), images.name(row))


def parse_id(text: str) -> Pair:
    """Return the pair that an id names; raises UnknownError if it is none."""
    parts = text.split("-")
    if [len(part) for part in parts] == [2 * DIGEST_BYTES] * 2 and text.isascii():
        try:
            return pair_of(*map(bytes.fromhex, parts))
        except ValueError:
            pass
    raise UnknownError("the run lists no such pair")


def _counting(decision: Decision | None) -> dict[str, Any]:
    """Return the answer that counts on a pair and its number, "" and 0 without one."""
    return {"answer": "", "number": 0} if decision is None else {"answer": decision.answer, "number": decision.number}


def _precision(codes: NDArray[np.uint8]) -> dict[str, Any] | None:
    """Return the share of copies among verified pairs that were judged, without those that nobody could tell."""
    told = codes[(codes > 0) & (codes != code_of(UNSURE))]
    if not len(told):
        return None
    n_copies = int((told == code_of(COPY)).sum())
    low, high = wilson_interval(n_copies, len(told))
    return {"n_copies": n_copies, "n": len(told), "share": n_copies / len(told), "low": low, "high": high}


def _result_json(result: AuditResult) -> dict[str, Any]:
    return {
        "name": result.name,
        "n": result.n,
        "n_judged": result.n_judged,
        "n_counted": result.n_counted,
        "n_unsure": result.n_unsure,
        "what": "with a copy in another dataset" if result.is_across else "with a copy",
        "n_images": result.n_images,
        "n_population": result.n_population,
        "n_certain": result.n_certain,
        "n_verified": result.n_verified,
        **_ends(result.estimate),
        "datasets": [
            {"name": one.name, "n_images": one.n_images, "n_verified": one.n_verified, **_ends(one.estimate)}
            for one in result.datasets
        ],
    }


def _ends(estimate: Estimate | None) -> dict[str, float | None]:
    if estimate is None:
        return dict.fromkeys(("estimate", "low", "high"))
    return {"estimate": estimate.value, "low": estimate.low, "high": estimate.high}
