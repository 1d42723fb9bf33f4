"""Number the images of all datasets through, so that a pair of any two images is two numbers.

The global row of an image is the offset of its dataset, in the order of the run, plus its row there.

Shapes: n images in all, d datasets, m rows that are asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Roster:
    """The datasets of a run and their sizes.

    Attributes:
        datasets: Names in the order of the run; no name stands twice.
        sizes: Number of kept images of each.
    """

    datasets: tuple[str, ...]
    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.datasets) != len(self.sizes) or len(set(self.datasets)) != len(self.datasets):
            raise ValueError(f"each dataset needs one name and one size, got {self.datasets} and {self.sizes}")
        if min(self.sizes, default=0) < 0 or sum(self.sizes) > np.iinfo(np.int32).max:
            raise ValueError(f"sizes are 0 or more and sum to less than 2^31, got {self.sizes}")

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Global row of the first image of each dataset, and the number of images last, `(d + 1,)` int64."""
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(np.asarray(self.sizes, np.int64))])

    @property
    def n_images(self) -> int:
        """Number of images of all datasets."""
        return sum(self.sizes)

    def number_of(self, dataset: str) -> int:
        """Return the place of a dataset in the order of the run; raises ValueError if there is none of this name."""
        if dataset not in self.datasets:
            raise ValueError(f"there is no dataset {dataset!r}; known: {', '.join(self.datasets)}")
        return self.datasets.index(dataset)

    def dataset_of(self, rows: NDArray[np.integer]) -> NDArray[np.int32]:
        """Return the number of the dataset of each global row, `(m,)` int32."""
        return (np.searchsorted(self.offsets, rows, side="right") - 1).astype(np.int32)

    def local(self, rows: NDArray[np.integer]) -> NDArray[np.int32]:
        """Return the row of each global row within its dataset, `(m,)` int32."""
        return (rows - self.offsets[self.dataset_of(rows)]).astype(np.int32)

    def gather(self, parts: Sequence[NDArray[Scalar]], rows: NDArray[np.integer]) -> NDArray[Scalar]:
        """Return the entries of global rows from one array a dataset, `(m, ...)`."""
        gathered = np.empty((len(rows), *parts[0].shape[1:]), parts[0].dtype)
        owners, places = self.dataset_of(rows), self.local(rows)
        for owner in np.unique(owners).tolist():
            chosen = owners == owner
            gathered[chosen] = parts[owner][places[chosen]]
        return gathered
