"""Images of one dataset by content, as locks tell them apart: the SHA-256 of each file beside its name and class."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from overlens.digests import digest_if_there

if TYPE_CHECKING:
    from overlens.features import KnownImages


@dataclass(frozen=True, slots=True)
class DigestedImages:
    """Images of one dataset by content: `digests[i]` is the SHA-256 of the file of image `keys[i]`.

    Attributes:
        keys: Names.
        labels: Class ids, None for an image without a class.
        digests: SHA-256 of the files, in hexadecimal.
        unusable: Digests of listed files that are no readable images.
    """

    keys: tuple[str, ...]
    labels: tuple[str | None, ...]
    digests: tuple[str, ...]
    unusable: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not len(self.keys) == len(self.labels) == len(self.digests):
            raise ValueError(f"{len(self.keys)} images, {len(self.labels)} classes, {len(self.digests)} digests")

    @classmethod
    def of(cls, known: "KnownImages") -> "DigestedImages":
        """Return the kept images of a run, and what can be read of the other listed files as unusable."""
        kept = {*known.keys}
        others = [path for key, path in zip(known.listing.keys, known.listing.paths, strict=True) if key not in kept]
        unusable = frozenset(digest for path in others if (digest := digest_if_there(path)) is not None)
        return cls(known.keys, known.labels, known.digests, unusable)
