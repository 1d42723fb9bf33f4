"""What became of people's decisions in a run: how many count, how many cannot, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from overlens.counted import counted

Names = tuple[str, str, str, str]
"""Dataset and image, dataset and image."""


@dataclass(frozen=True, slots=True)
class HonouredDecisions:
    """The decisions that were there, by what became of them; the counts but the last two sum up to all of them.

    Attributes:
        honoured: Answer -> decisions that the result agrees with: "copy", "not a copy", "same scene".
        n_unsure: Decisions that say nothing, so that the verdict of the pixels counts.
        n_not_in_run: Of pairs of which an image is not in the run.
        n_contradicted: Of equal files or pixels, which cannot be decided away.
        n_overruled: Of which a later one says otherwise, on images equal to theirs.
        n_within_reference: Of pairs within the reference, where nothing is looked for.
        n_changed: Of those that are honoured, how many say otherwise than the pixels.
        n_joined: Of those that are honoured and say that a pair is no copy, how many are in one group all the same,
            by way of other images.
        first_contradicted: One of those, if there is any.
        first_joined: One of those, if there is any.
        digest: Tells which answers there were, see `overlens.decisions.records.digest_answers`.
    """

    honoured: Mapping[str, int]
    n_unsure: int
    n_not_in_run: int
    n_contradicted: int
    n_overruled: int
    n_within_reference: int
    n_changed: int
    n_joined: int
    first_contradicted: Names | None
    first_joined: Names | None
    digest: str

    @property
    def n_honoured(self) -> int:
        """How many decisions the result agrees with."""
        return sum(self.honoured.values())

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "HonouredDecisions":
        """Return what `to_json` was made of."""
        firsts = {name: None if (one := content[name]) is None else tuple(one) for name in _FIRSTS}
        return cls(**{**content, **firsts})

    def to_json(self) -> dict[str, Any]:
        """Return what `overlap.json` holds of it."""
        return {**asdict(self), **{name: None if (one := getattr(self, name)) is None else [*one] for name in _FIRSTS}}

    def summary(self) -> str:
        """Say in one sentence or two how many decisions count."""
        answers = ", ".join(f"{n:,} {answer}" for answer, n in self.honoured.items() if n)
        listed = f" ({answers})" if answers else ""
        changed = f", {self.n_changed:,} of them against the verdict of the pixels" if self.n_changed else ""
        others = [
            (self.n_unsure, "unsure"),
            (self.n_not_in_run, "of images that are not in this run"),
            (self.n_contradicted + self.n_overruled + self.n_within_reference, "that could not be applied"),
        ]
        rest = ", ".join(f"{n:,} {words}" for n, words in others if n)
        return f"Decisions of people that count: {self.n_honoured:,}{listed}{changed}." + (
            f" Beside these: {rest}." if rest else ""
        )

    def warnings(self) -> list[str]:
        """Say which decisions could not be applied, or do not have the effect that one would expect."""
        sentences = []
        if self.n_contradicted:
            said = counted(self.n_contradicted, "decision says", "decisions say")
            sentences.append(
                f"{said} of equal files or pixels that they are no copies, and cannot be applied; the first: "
                f"{_named(self.first_contradicted)}"
            )
        if self.n_overruled:
            said = counted(self.n_overruled, "decision is", "decisions are")
            sentences.append(f"{said} overruled by a later one on images of equal pixels")
        if self.n_within_reference:
            said = counted(self.n_within_reference, "decision is on a pair", "decisions are on pairs")
            sentences.append(f"{said} within the reference, where nothing is looked for, and not used")
        if self.n_joined:
            pairs = counted(self.n_joined, "pair", "pairs")
            lie = "that is no copy by decision lies" if self.n_joined == 1 else "that are no copies by decision lie"
            sentences.append(
                f"{pairs} {lie} in one group all the same: they are joined by other verified pairs; look at "
                f"these; the first: {_named(self.first_joined)}"
            )
        return sentences


_FIRSTS = "first_contradicted", "first_joined"


def _named(names: Sequence[str] | None) -> str:
    dataset_a, image_a, dataset_b, image_b = names or ("", "", "", "")
    return f"{dataset_a} {image_a!r} and {dataset_b} {image_b!r}"
