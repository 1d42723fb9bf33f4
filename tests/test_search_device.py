"""Products on a device propose every pair that counts: on the processor by torch, and on CUDA where there is one."""

import sys
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlens.search import cosine, find_cosine_pairs
from overlens.search import device as module
from overlens.search.bfloat16 import round_to_bfloat16, widen
from overlens.search.device import DeviceProducts, device_in_use, sum_slack
from overlens.search.heads import Split
from overlens.search.reference import list_cosine_pairs

needs_torch = [
    pytest.mark.torch,
    pytest.mark.skipif(find_spec("torch") is None, reason='needs the extra "torch"'),
]


def torch_test(function):
    for mark in needs_torch:
        function = mark(function)
    return function


def has_cuda():
    import torch

    return torch.cuda.is_available()


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    if request.param == "cuda" and not has_cuda():
        pytest.skip("no CUDA device")
    return request.param


def make_rows(rng, n, d):
    """Unit rows, the second half near-copies of the first at all distances."""
    rows = rng.standard_normal((n, d))
    half = n // 2
    rows[n - half :] = rows[:half] + rng.uniform(0, 1, (half, 1)) * rng.standard_normal((half, d))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def as_rows(blocks):
    """Return every pair with its score, in order; no pair twice."""
    blocks = list(blocks)
    rows = sorted(
        row
        for block in blocks
        for row in zip(block.left.tolist(), block.right.tolist(), block.scores.tolist(), strict=True)
    )
    assert len({row[:2] for row in rows}) == len(rows)
    return rows


def propose(products, left, right, min_similarity):
    """Return the places that products propose for whole rows, and how far below the limit these may lie."""
    split = Split(left.shape[1], is_narrow=True)
    upper = split.split(left)
    lower = upper if right is None else split.split(right)
    floor = float(np.float32(min_similarity)) - split.slack(upper, lower)
    tops = products.cut(upper.values)
    bottoms = tops if right is None else products.cut(lower.values)
    found = set()
    for row, top in enumerate(tops):
        for column, bottom in enumerate(bottoms):
            if right is None and column < row:
                continue
            is_diagonal = right is None and row == column
            rows, columns = products.find(top, bottom, floor, is_diagonal=is_diagonal)
            assert rows.dtype == columns.dtype == np.int64
            places = zip(
                (rows + row * products.part_rows).tolist(),
                (columns + column * products.part_rows).tolist(),
                strict=True,
            )
            found |= set(places)
    depth = 2 * split.slack(upper, lower) + 2 * sum_slack(left.shape[1], upper.longest * lower.longest)
    return found, depth


@torch_test
@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.tuples(st.integers(1, 40), st.none() | st.integers(1, 40)),
    d=st.integers(1, 90),
    scale=st.sampled_from([1e-3, 1.0, 37.0]),
    part=st.sampled_from([1, 7, 64]),
    min_similarity=st.sampled_from([-1.0, 0.0, 0.5, 0.9, 1.0]),
)
def test_every_pair_of_the_reference_is_proposed_and_few_others(seed, sizes, d, scale, part, min_similarity):
    rng = np.random.default_rng(seed)
    left, right = (None if n is None else np.float32(scale) * make_rows(rng, n, d) for n in sizes)
    products = DeviceProducts("cpu")
    products.part_rows = part
    limit = min_similarity * scale**2
    found, depth = propose(products, left, right, limit)
    assert list_cosine_pairs(left, right, min_similarity=limit).keys() <= found
    assert found <= list_cosine_pairs(left, right, min_similarity=limit - depth).keys()


@torch_test
def test_a_device_proposes_what_reaches_the_floor(device):
    rows = make_rows(np.random.default_rng(0), 900, 512)
    products = DeviceProducts(device)
    products.part_rows = 256
    found, depth = propose(products, rows, None, 0.9)
    assert list_cosine_pairs(rows, None, min_similarity=0.9).keys() <= found
    assert found <= list_cosine_pairs(rows, None, min_similarity=0.9 - depth).keys()
    assert depth < 0.03
    assert 0 < len(found) < 900 * 899 / 2


@torch_test
@pytest.mark.parametrize("n_right", [None, 250], ids=["within", "across"])
@pytest.mark.parametrize("min_similarity", [0.3, 0.9])
def test_a_search_on_a_device_gives_the_same_blocks_of_pairs(monkeypatch, device, n_right, min_similarity):
    rng = np.random.default_rng(7)
    left, right = make_rows(rng, 400, 64), None if n_right is None else make_rows(rng, n_right, 64)
    if right is not None:
        right[:200] = left[100:300]
    expected = as_rows(find_cosine_pairs(left, right, min_similarity=min_similarity))
    asked = []
    monkeypatch.setattr(cosine, "is_worth_a_split", lambda *sizes: True)
    monkeypatch.setattr(cosine, "device_in_use", lambda n_bytes: asked.append(n_bytes) or device)
    monkeypatch.setattr(module, "PART_ROWS", 32)
    found = as_rows(find_cosine_pairs(left, right, min_similarity=min_similarity, tile_rows=90))
    assert found == expected
    assert len(found) > 50
    assert asked == [(400 + (n_right or 0)) * 64 * 2]


@torch_test
def test_no_heads_make_no_parts():
    assert DeviceProducts("cpu").cut(np.empty((0, 5), np.uint16)) == []


@pytest.mark.parametrize("k", [1, 4, 16, 32])
@pytest.mark.parametrize("n_values", [1, 16, 512, 1280])
def test_the_slack_covers_sums_that_are_cut_as_matrix_units_cut_them(k, n_values):
    rng = np.random.default_rng(k)
    # Of one sign, so that every cut is in one direction and none makes good for another.
    left, right = (
        widen(round_to_bfloat16(np.abs(rng.standard_normal((50, n_values))).astype(np.float32))) for _ in "ab"
    )
    terms = left.astype(np.float64) * right
    terms = np.pad(terms, ((0, 0), (0, -n_values % k))).reshape(50, -1, k)
    total = np.zeros((50, 1))
    for step in range(terms.shape[1]):
        addends = np.concatenate([total, terms[:, step]], axis=1)
        unit = 2.0 ** (np.floor(np.log2(np.abs(addends).max(axis=1, keepdims=True))) - 23)
        summed = (np.trunc(addends / unit) * unit).sum(axis=1, keepdims=True)
        unit = 2.0 ** (np.floor(np.log2(np.abs(summed))) - 23)
        total = np.trunc(summed / unit) * unit
    lost = np.abs(total[:, 0] - terms.sum(axis=(1, 2)))
    lengths = np.linalg.norm(left.astype(np.float64), axis=1) * np.linalg.norm(right.astype(np.float64), axis=1)
    assert (lost <= [sum_slack(n_values, length) for length in lengths]).all()
    assert n_values == 1 or lost.max() > 0


def fake_torch(monkeypatch, is_initialized, free):
    cuda = SimpleNamespace(is_initialized=lambda: is_initialized, mem_get_info=lambda: (free, 80 * 2**30))
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))


@pytest.mark.parametrize(
    ("is_initialized", "free", "expected"),
    [(True, 70 * 2**30, "cuda"), (False, 70 * 2**30, None), (True, 5 * 2**29, None)],
    ids=["in use", "not in use", "full"],
)
def test_a_gpu_is_used_where_the_process_computes_on_it(monkeypatch, is_initialized, free, expected):
    fake_torch(monkeypatch, is_initialized, free)
    assert device_in_use(2**30) == expected


def test_no_library_is_loaded_to_look_for_a_gpu(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert device_in_use(0) is None
    assert "torch" not in sys.modules
