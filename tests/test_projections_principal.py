"""Images start at their principal components, however many there are."""

import numpy as np
import pytest

from overlens.projections.principal import principal_start


def test_start_is_the_principal_plane():
    rng = np.random.default_rng(0)
    rows = (rng.standard_normal((5000, 6)) * [5, 3, 1, 1, 1, 1]).astype(np.float32)
    start = principal_start(rows, 0)
    assert abs(np.corrcoef(start[:, 0], rows[:, 0])[0, 1]) > 0.99
    assert abs(np.corrcoef(start[:, 1], rows[:, 1])[0, 1]) > 0.98
    assert start[:, 0].std() == pytest.approx(1, abs=0.01)


def plain_components(rows: np.ndarray) -> np.ndarray:
    centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    left, lengths, _ = np.linalg.svd(centred, full_matrices=False)
    components = left[:, :2] * lengths[:2]
    return components / components[:, 0].std()


@pytest.mark.parametrize(("n", "d"), [(60, 20), (20, 60), (20, 20), (21, 20), (3, 2000)])
def test_components_are_those_of_a_singular_value_decomposition(n, d):
    rows = np.random.default_rng(0).standard_normal((n, d)).astype(np.float32)
    noise = 0.01 * np.random.default_rng(5).standard_normal((n, 2))
    start, expected = principal_start(rows, 5) - noise, plain_components(rows)
    for axis in range(2):
        sign = np.sign(start[:, axis] @ expected[:, axis])
        np.testing.assert_allclose(start[:, axis], sign * expected[:, axis], atol=1e-6)


def test_an_axis_points_to_its_largest_entry_with_few_rows_and_with_many():
    few = np.zeros((4, 9), np.float32)
    few[:, 6] = [-3, -1, 1, 3]
    many = np.vstack([few] * 5)
    for rows in (few, many):
        assert np.corrcoef(principal_start(rows, 0)[:, 0], rows[:, 6])[0, 1] > 0.99


@pytest.mark.parametrize("shape", [(1, 4), (7, 8), (9, 8), (6, 1)])
def test_equal_rows_start_at_noise_alone(shape):
    start = principal_start(np.ones(shape, np.float32), 2)
    np.testing.assert_array_equal(start, 0.01 * np.random.default_rng(2).standard_normal((shape[0], 2)))


def test_rows_on_a_line_have_one_axis():
    rows = np.outer(np.arange(5), np.eye(30)[3]).astype(np.float32)
    start = principal_start(rows, 0) - 0.01 * np.random.default_rng(0).standard_normal((5, 2))
    np.testing.assert_allclose(start[:, 0], (np.arange(5) - 2) / np.sqrt(2), atol=1e-9)
    np.testing.assert_allclose(start[:, 1], 0, atol=1e-6)
