"""Findings of pairs are kept in parts and found again by the digests of both files."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlens.errors import StoreError
from overlens.store.pairs import Keys, PairStore, make_keys

FINDING = np.dtype([("score", "<f4"), ("shape", "<i4", (2,))])
FACTS = {"rule": "1"}


def keys_of(*pairs: tuple[int, int]) -> Keys:
    """Keys of pairs of files that are called by numbers; number 0 ends in zeros, as a digest may."""
    sides = np.array(pairs, np.int64).reshape(-1, 2)
    left, right = (np.stack([column % 7, column], axis=1).astype("<i8") for column in sides.T)
    return make_keys(*(column.view(np.uint8).reshape(len(pairs), 16) for column in (left, right)))


def findings_of(*scores: float) -> np.ndarray:
    found = np.zeros(len(scores), FINDING)
    found["score"] = scores
    found["shape"][:, 0], found["shape"][:, 1] = found["score"], 1
    return found


def test_findings_come_back_in_the_order_asked_for(tmp_path: Path):
    store = PairStore.open(tmp_path, "verdicts", FACTS, FINDING)
    store.write(keys_of((0, 1), (0, 0)), findings_of(1, 2))
    store.write(keys_of((5, 3)), findings_of(3))
    is_known, found = store.find(keys_of((5, 3), (1, 0), (0, 0), (5, 3), (0, 1)))
    assert is_known.tolist() == [True, False, True, True, True]
    assert found["score"].tolist() == [3, 2, 3, 1] and found["shape"][0].tolist() == [3, 1]


def test_an_empty_store_knows_nothing_and_makes_no_folder(tmp_path: Path):
    store = PairStore.open(tmp_path, "verdicts", FACTS, FINDING)
    is_known, found = store.find(keys_of((1, 2)))
    assert not is_known.any() and len(found) == 0 and not store.folder.exists()
    assert len(store.find(keys_of())[0]) == 0


def test_another_rule_or_type_is_another_store(tmp_path: Path):
    PairStore.open(tmp_path, "verdicts", FACTS, FINDING).write(keys_of((1, 2)), findings_of(1))
    for facts, finding in (({"rule": "2"}, FINDING), (FACTS, np.dtype([("score", "<f8")]))):
        assert not PairStore.open(tmp_path, "verdicts", facts, finding).find(keys_of((1, 2)))[0].any()


@given(st.lists(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), unique=True, max_size=8), max_size=4))
def test_it_is_a_dictionary(tmp_path_factory: pytest.TempPathFactory, parts: list[list[tuple[int, int]]]):
    store = PairStore.open(tmp_path_factory.mktemp("store"), "verdicts", FACTS, FINDING)
    wanted = {}
    for part in parts:
        store.write(keys_of(*part), findings_of(*(one + 100 * two for one, two in part)))
        wanted |= {pair: pair[0] + 100 * pair[1] for pair in part}
    asked = [(one, two) for one in range(10) for two in range(10)]
    is_known, found = store.find(keys_of(*asked))
    assert is_known.tolist() == [pair in wanted for pair in asked]
    assert found["score"].tolist() == [wanted[pair] for pair in asked if pair in wanted]


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY"], ids=["empty", "text", "cut"])
def test_damage_is_named(tmp_path: Path, content: bytes):
    store = PairStore.open(tmp_path, "verdicts", FACTS, FINDING)
    store.write(keys_of((1, 2)), findings_of(1))
    (part,) = store.folder.glob("*.npy")
    part.write_bytes(content)
    with pytest.raises(StoreError, match=r"damaged.*delete .*verdicts.* and run again"):
        store.find(keys_of((1, 2)))


def test_a_single_flipped_bit_is_damage(tmp_path: Path):
    store = PairStore.open(tmp_path, "verdicts", FACTS, FINDING)
    store.write(keys_of((1, 2)), findings_of(1))
    (part,) = store.folder.glob("*.npy")
    content = bytearray(part.read_bytes())
    content[-10] ^= 1
    part.write_bytes(content)
    with pytest.raises(StoreError, match="other bytes than were written"):
        store.find(keys_of((1, 2)))


def test_what_a_killed_run_left_is_removed(tmp_path: Path):
    store = PairStore.open(tmp_path, "verdicts", FACTS, FINDING)
    store.write(keys_of((1, 2)), findings_of(1))
    (store.folder / ".partial-part.npy").write_bytes(b"half")
    again = PairStore.open(tmp_path, "verdicts", FACTS, FINDING)
    assert again.find(keys_of((1, 2)))[0].all()
    assert len(list(store.folder.iterdir())) == 1
