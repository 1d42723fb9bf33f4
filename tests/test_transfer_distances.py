"""Distances between datasets equal their definitions, computed the long way, and are nothing between halves of one."""

import numpy as np
import pytest

from overlens.transfer.distances import (
    Pool,
    half_size,
    measure_distances,
    median_distance,
    squared_frechet,
    squared_mmd,
)
from overlens.transfer.inputs import Labelled, TransferConfig

CONFIG = TransferConfig(n_draws=12)


def make_rows(n: int, dim: int, *, seed: int, shift: float = 0.0, spread: float = 1.0) -> np.ndarray:
    return (shift + spread * np.random.default_rng(seed).normal(size=(n, dim))).astype(np.float32)


def make_dataset(name: str, rows: np.ndarray) -> Labelled:
    return Labelled(name, tuple(f"{i:04d}" for i in range(len(rows))), rows, np.full(len(rows), -1), ())


def figures(source: Labelled, target: Labelled, kept=None, config=CONFIG):
    return {one.name: one for one in measure_distances(source, target, kept, config).figures()}


@pytest.mark.parametrize(("n", "k"), [(7, 7), (5, 9)], ids=["equal sizes", "unequal"])
def test_mmd_is_the_sum_over_pairs(n, k):
    first, second, s = make_rows(n, 4, seed=1), make_rows(k, 4, seed=2, shift=0.5), 1.7

    def kernel(a, b):
        return np.exp(-np.sum((a.astype(float) - b.astype(float)) ** 2) / (2 * s * s))

    within = sum(kernel(first[i], first[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within += sum(kernel(second[i], second[j]) for i in range(k) for j in range(k) if i != j) / (k * (k - 1))
    between = sum(kernel(a, b) for a in first for b in second) / (n * k)
    assert squared_mmd(first, second, s) == pytest.approx(within - 2 * between, abs=1e-6)


@pytest.mark.parametrize(("n", "dim"), [(60, 6), (8, 20)], ids=["more rows", "more dimensions"])
def test_frechet_is_that_of_the_covariances(n, dim):
    from scipy.linalg import sqrtm

    first, second = make_rows(n, dim, seed=1), make_rows(n, dim, seed=2, shift=0.3, spread=2.0)
    one, other = (np.cov(rows.astype(np.float64).T) for rows in (first, second))
    # Where there are fewer rows than dimensions the product is singular; its root exists all the same.
    root = sqrtm(one @ other + 1e-14 * np.eye(dim))
    shift = first.astype(np.float64).mean(axis=0) - second.astype(np.float64).mean(axis=0)
    expected = shift @ shift + np.trace(one + other) - 2 * np.trace(root).real
    assert squared_frechet(first, second) == pytest.approx(expected, rel=1e-4)


def test_frechet_of_gaussians_with_known_parameters():
    rows = make_rows(50, 2, seed=1).astype(np.float64)
    rows -= rows.mean(axis=0)
    rows = rows @ np.linalg.inv(np.linalg.cholesky(np.cov(rows.T))).T
    # |m1 - m2|² + sum (s1 - s2)² = 2 + 2 * 4
    assert squared_frechet(rows.astype(np.float32), (1 + 3 * rows).astype(np.float32)) == pytest.approx(10.0, rel=1e-5)
    assert squared_frechet(rows.astype(np.float32), rows.astype(np.float32)) == pytest.approx(0.0, abs=1e-6)


def test_mmd_of_equal_distributions_is_zero_on_average():
    values = [squared_mmd(make_rows(20, 5, seed=2 * i), make_rows(20, 5, seed=2 * i + 1), 3.0) for i in range(300)]
    error = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values)) < 4 * error
    assert min(values) < 0 < max(values)


def test_the_median_is_over_pairs_of_different_rows():
    rows = np.array([[0, 0], [1, 0], [3, 0]], np.float32)
    assert median_distance(rows[:2], rows[2:]) == pytest.approx(2.0)
    assert median_distance(rows[:1], rows[:1]) == 1.0


def test_halves_are_disjoint_equal_in_size_and_free_of_what_is_removed():
    is_kept = np.arange(40) % 5 != 0
    pool = Pool("a", np.arange(40, dtype=np.float32)[:, None], is_kept)
    for draw in range(5):
        first, second = (set(half[:, 0].astype(int)) for half in pool.halves(16, draw, 0))
        assert len(first) == len(second) == 16 and not first & second
        assert is_kept[list(first | second)].all()
    assert half_size([pool, Pool("b", pool.rows, np.arange(40) < 3)], CONFIG) == 0
    assert half_size([pool], TransferConfig(max_half=7)) == 7


def test_unlike_datasets_are_far_above_the_floor_and_alike_ones_at_it():
    near, like, far = (make_rows(120, 8, seed=i, shift=s) for i, s in ((1, 0.0), (2, 0.0), (3, 1.0)))
    alike = figures(make_dataset("a", near), make_dataset("b", like))
    apart = figures(make_dataset("a", near), make_dataset("c", far))
    for name in ("mmd_squared", "frechet"):
        floors = [apart[f"{name}_{side}_floor"].every for side in ("source", "target")]
        assert apart[name].every.lower > max(floor.upper for floor in floors)
        assert alike[name].every.lower < max(alike[f"{name}_{side}_floor"].every.upper for side in ("source", "target"))
        assert apart[name].every.n_train == apart[name].every.n_test == 60
        assert apart[name].without is None and apart[name].difference is None


def test_source_and_target_change_places():
    one, other = make_dataset("a", make_rows(50, 6, seed=1)), make_dataset("b", make_rows(70, 6, seed=2, shift=0.2))
    there, back = measure_distances(one, other, None, CONFIG).turned(), measure_distances(other, one, None, CONFIG)
    np.testing.assert_allclose(there.every, back.every, atol=2e-5)


def test_copies_pull_datasets_together_and_removed_they_do_not():
    rows = make_rows(200, 8, seed=2, shift=0.4)
    first, second = make_rows(200, 8, seed=1), rows.copy()
    second[:80] = first[:80]
    kept = (np.arange(200) >= 80,) * 2
    found = figures(make_dataset("a", first), make_dataset("b", second), kept)
    clean = figures(make_dataset("a", first), make_dataset("b", rows), kept)
    assert found["mmd_squared"].difference.upper < 0
    assert found["mmd_squared"].without.value == pytest.approx(clean["mmd_squared"].without.value, rel=0.1)
    assert found["frechet"].every.n_test == 60


def test_nothing_shared_makes_no_difference():
    sets = make_dataset("a", make_rows(30, 4, seed=1)), make_dataset("b", make_rows(40, 4, seed=2))
    for one in figures(*sets, (np.ones(30, bool), np.ones(40, bool))).values():
        assert one.without == one.every
        assert (one.difference.value, one.difference.lower, one.difference.upper) == (0, 0, 0)


def test_too_few_images_have_no_distance():
    sets = make_dataset("a", make_rows(30, 4, seed=1)), make_dataset("b", make_rows(3, 4, seed=2))
    assert figures(*sets) == {}
    left = figures(sets[0], sets[0], (np.ones(30, bool), np.arange(30) < 2))
    assert left["frechet"].without is None and left["frechet"].every.n_train == 15
