"""Which pairs the gallery of the report shows, and what is said of each.

A run may list millions of pairs, and a page that is mailed cannot. Each rung gets an equal share of the places, and
what a rung does not need goes to the others; within a rung half of its places go to the least sure pairs, which are
those to look at, and half are spread evenly over the rest, so that nobody takes the worst for the usual.

Shapes: m listed pairs, k shown ones.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from overlens.counted import counted
from overlens.decisions.records import pair_of
from overlens.errors import StoreError
from overlens.finished import FinishedRun
from overlens.finished_pairs import RUNGS, Places, evidence_of, sides_of, words_of
from overlens.report.html.records import ShownPair
from overlens.verdicts import LOOK_ALIKE, VERDICTS

if TYPE_CHECKING:
    import pyarrow


def count_listed(run: FinishedRun) -> dict[str, int]:
    """Return how many pairs of each rung the run lists; nothing where nothing was verified."""
    counts = run.numbers["methods"].get("verified", {}).get("pairs_by_verdict", [])
    return {rung: sum(one[rung] for one in counts) for rung in RUNGS} if counts else {}


def choose_pairs(codes: NDArray[np.integer], strengths: NDArray[np.floating], n: int) -> NDArray[np.intp]:
    """Return `(k,)` places of the pairs to show, ascending.

    Args:
        codes: `(m,)` rung of each pair.
        strengths: `(m,)` how sure each is within its rung.
        n: Largest number of pairs.
    """
    rungs, sizes = np.unique(codes, return_counts=True)
    shares = _share_out(sizes.tolist(), n)
    chosen = [
        _choose_of_rung(np.flatnonzero(codes == rung), strengths, share)
        for rung, share in zip(rungs, shares, strict=True)
    ]
    return np.sort(np.concatenate([np.zeros(0, np.intp), *chosen]))


def _share_out(sizes: Sequence[int], n: int) -> list[int]:
    """Return how many of `n` places each of several gets: as many as it needs, or as many as any other."""
    level = next((one for one in range(1, n + 1) if sum(min(size, one) for size in sizes) > n), n + 1) - 1
    shares = [min(size, level) for size in sizes]
    for place, size in enumerate(sizes):  # what is left over goes to the surest rungs, one each
        if sum(shares) < n and shares[place] < size:
            shares[place] += 1
    return shares


def _choose_of_rung(places: NDArray[np.intp], strengths: NDArray[np.floating], n: int) -> NDArray[np.intp]:
    if len(places) <= n:
        return places
    ordered = places[np.lexsort((places, strengths[places]))]
    n_least = (n + 1) // 2
    rest = ordered[n_least:]
    spread = rest[np.linspace(0, len(rest) - 1, n - n_least).round().astype(np.intp)] if n > n_least else rest[:0]
    return np.concatenate([ordered[:n_least], spread])


def shown_pairs(run: FinishedRun, most: int) -> tuple[ShownPair, ...]:
    """Return the pairs of the gallery, the surest rung first and within it the least sure pair.

    Raises:
        StoreError: `pairs.parquet` cannot be read.
    """
    if not run.made(run.layout.pairs):
        return ()
    table, left, right = _read_chosen(run, most)
    pairs = [_shown(run, *one) for one in zip(table.to_pylist(), left.tolist(), right.tolist(), strict=True)]
    return tuple(sorted(pairs, key=lambda pair: (VERDICTS.index(pair.rung), pair.strength, pair.left, pair.right)))


def left_out(n_listed: Mapping[str, int], pairs: Sequence[ShownPair]) -> tuple[str, ...]:
    """Say which pairs are not shown."""
    sentences = []
    for rung, n in n_listed.items():
        n_shown = sum(pair.rung == rung for pair in pairs)
        if n_shown < n:
            missing = counted(n - n_shown, "pair", "pairs")
            sentences.append(
                f"{RUNGS[rung][0]}: {missing} of {n:,} not shown; half of the {n_shown:,} shown are the least sure."
            )
    return tuple(sentences)


def _read_chosen(run: FinishedRun, most: int) -> "tuple[pyarrow.Table, Places, Places]":
    """Return the rows of the pairs to show, and the places of their left and right images."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = run.layout.pairs
    try:
        file = pq.ParquetFile(path)
        heads = file.read(["verdict", "strength"])
        verdicts = heads["verdict"].combine_chunks().dictionary_encode()
        places = np.array([VERDICTS.index(name) for name in verdicts.dictionary.to_pylist()], np.int16)
        codes = places[verdicts.indices.to_numpy()] if len(places) else np.zeros(0, np.int16)
        chosen = choose_pairs(codes, heads["strength"].to_numpy(), most)
        table = _take(file, chosen)
        return table, *sides_of(run.images, table)
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise StoreError(f"{path} cannot be read ({error}); run overlens compute again") from error


def _take(file: Any, chosen: NDArray[np.intp]) -> "pyarrow.Table":  # noqa: ANN401 - pyarrow has no types
    """Return some rows of a Parquet file, one block of it at a time."""
    import pyarrow as pa

    start, parts = 0, [file.schema_arrow.empty_table()]
    for number in range(file.num_row_groups):
        end = start + file.metadata.row_group(number).num_rows
        wanted = chosen[(chosen >= start) & (chosen < end)]
        if len(wanted):
            parts.append(file.read_row_group(number).take(pa.array(wanted - start)))
        start = end
    return pa.concat_tables(parts)


def _shown(run: FinishedRun, row: Mapping[str, Any], left: int, right: int) -> ShownPair:
    is_alike = row["verdict"] == VERDICTS[LOOK_ALIKE] and not row["decision"]
    return ShownPair(
        left,
        right,
        row["verdict"],
        float(row["strength"]),
        row["cosine"],
        None,  # by the method of the run: see `distances`
        "no way to lay them on one another convinced" if is_alike else words_of(run.images, row, (left, right)),
        evidence_of(row),
        None if row["transform"] is None else tuple(row["transform"]),
        _judged(run, row, (left, right)),
    )


def _judged(run: FinishedRun, row: Mapping[str, Any], places: tuple[int, int]) -> str:
    """Return what a person said of a pair: up to now, or else before the run, of it or of images equal to it."""
    digests = [run.images.digest(place) for place in places] if run.images.has_pictures else []
    decision = run.decisions.get(pair_of(*digests)) if digests else None
    return decision.answer if decision is not None else row.get("decision") or ""
