"""The digest of verified pairs: the table that the page of outputs describes, made here line by line."""

import hashlib
import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlens.benchmark import pair_digest
from overlens.benchmark.pair_digest import digest_pairs
from overlens.edges import Edges
from overlens.roster import Roster
from overlens.verdicts import EDITED, LOOK_ALIKE, VERDICTS

# Names that begin one another, what JSON escapes, and what sorts otherwise in UTF-16.
NASTY = (
    "a",
    "a ",
    'a"',
    'a", "b',
    "a\\",
    "a!",
    "ab",
    "a\x00",
    "a\x1f",
    "\n",
    "",
    "é",
    "\ud800",
    "\uffff",
    "🖼",
    "[",
    "]",
)
names = st.one_of(st.sampled_from(NASTY), st.text(max_size=4), st.text(alphabet='a"\\ ,\x01', max_size=5))


def plain_digest(edges: Edges, roster: Roster, keys: list[list[str]]) -> tuple[int, str]:
    """The lines as they are described, sorted as texts."""
    everyone = [(dataset, key) for dataset, own in zip(roster.datasets, keys, strict=True) for key in own]
    surest: dict[tuple[tuple[str, str], ...], int] = {}
    for left, right, verdict in zip(edges.left.tolist(), edges.right.tolist(), edges.verdicts.tolist(), strict=True):
        pair = tuple(sorted((everyone[left], everyone[right])))
        if verdict <= EDITED:
            surest[pair] = min(verdict, surest.get(pair, verdict))
    lines = [json.dumps([*one, *other, VERDICTS[code]], ensure_ascii=False) for (one, other), code in surest.items()]
    table = "".join(f"{line}\n" for line in sorted(lines))
    return len(surest), hashlib.sha256(table.encode(errors="surrogatepass")).hexdigest()


def edges_of(pairs: list[tuple[int, int, int]]) -> Edges:
    columns = np.array(pairs, np.int32).reshape(-1, 3)
    strengths = np.ones(len(columns), np.float32)
    return Edges(columns[:, 0], columns[:, 1], columns[:, 2].astype(np.uint8), strengths)


@st.composite
def tables(draw: st.DrawFn) -> tuple[Edges, Roster, list[list[str]]]:
    datasets = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    keys = [draw(st.lists(names, min_size=2, max_size=8, unique=True)) for _ in datasets]
    roster = Roster(tuple(datasets), tuple(map(len, keys)))
    row = st.integers(0, roster.n_images - 1)
    pair = st.tuples(row, row, st.integers(0, LOOK_ALIKE)).filter(lambda one: one[0] != one[1])
    return edges_of(draw(st.lists(pair, max_size=30))), roster, keys


@settings(max_examples=150, deadline=None)
@given(tables(), st.integers(1, 5))
def test_it_is_the_digest_of_the_sorted_lines(table: tuple[Edges, Roster, list[list[str]]], n_lines: int):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pair_digest, "LINES", n_lines)
        assert digest_pairs(*table) == plain_digest(*table)


@settings(max_examples=30, deadline=None)
@given(tables(), st.randoms(use_true_random=False))
def test_the_order_of_images_pairs_and_datasets_plays_no_part(table, random):
    edges, roster, keys = table
    order = list(range(len(roster.datasets)))
    random.shuffle(order)
    shuffled = [random.sample(keys[place], len(keys[place])) for place in order]
    moved = Roster(tuple(roster.datasets[place] for place in order), tuple(map(len, shuffled)))
    row_of = {
        (name, key): row
        for row, (name, key) in enumerate(
            (name, key) for name, own in zip(moved.datasets, shuffled, strict=True) for key in own
        )
    }
    everyone = [(name, key) for name, own in zip(roster.datasets, keys, strict=True) for key in own]
    rows = [row_of[one] for one in everyone]
    pairs = [(rows[b], rows[a], code) for a, b, code in zip(edges.left, edges.right, edges.verdicts, strict=True)]
    random.shuffle(pairs)
    assert digest_pairs(edges_of(pairs), moved, shuffled) == digest_pairs(edges, roster, keys)


def test_without_pairs_it_is_the_digest_of_nothing():
    assert digest_pairs(edges_of([]), Roster(("a",), (2,)), [["x", "y"]]) == (0, hashlib.sha256().hexdigest())


def test_memory_is_columns_of_numbers_and_no_lines():
    """200,000 lines of 90 characters would take 28 MB as Python's texts."""
    rng, n_images, n_pairs = np.random.default_rng(0), 2_000, 200_000
    left = rng.integers(0, n_images, n_pairs, dtype=np.int32)
    right = (left + rng.integers(1, n_images, n_pairs, dtype=np.int32)) % n_images
    edges = Edges(left, right, np.zeros(n_pairs, np.uint8), np.ones(n_pairs, np.float32))
    keys = [f"a folder with a long name/image {number:07d}.jpg" for number in range(n_images)]
    tracemalloc.start()
    digest_pairs(edges, Roster(("a",), (n_images,)), [keys])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 45 * n_pairs + 4_000_000
