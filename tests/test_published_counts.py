"""Pairs found in the published artwork features, against brute force and against the published lists.

The features are half precision, so every float64 dot product of them is exact (products are multiples of 2^-48 and the
sum stays below 2): brute force in float64 is the truth, not another approximation.
"""

import json
from itertools import combinations

import numpy as np
import pytest

from overlens.search import find_cosine_pairs, find_hamming_pairs
from overlens.search.reference import list_cosine_pairs, list_hamming_pairs

NAMES = ("ArtDL", "ICONCLASS", "wikidata")
SIDES = [(name, name) for name in NAMES] + list(combinations(NAMES, 2))
SIDE_IDS = ["within-" + a if a == b else f"{a}-{b}" for a, b in SIDES]

# Counts that README.md of the data gives, in the order of SIDES: strictly above the limit, by a float32 matrix product.
COSINE_COUNTS = {0.9: (3658, 3950, 158, 17, 73, 3), 0.8: (258687, 25422, 21484, 24906, 34299, 2431)}
HAMMING_COUNTS = {5: (7, 4, 0, 0, 39, 2), 8: (9, 8, 2, 0, 44, 2)}


@pytest.fixture(scope="module")
def published(shared_data):
    return shared_data / "art_published" / "dataset"


@pytest.fixture(scope="module")
def names(published):
    return {name: json.loads((published / f"{name}-data/analysis/names.json").read_text()) for name in NAMES}


@pytest.fixture(scope="module")
def embeddings(published):
    return {name: np.load(published / f"{name}-data/analysis/embeddings.npy").astype(np.float32) for name in NAMES}


@pytest.fixture(scope="module")
def hashes(published):
    texts = {name: json.loads((published / f"{name}-data/analysis/hashes.json").read_text()) for name in NAMES}
    return {name: np.array([list(bytes.fromhex(text)) for text in column], np.uint8) for name, column in texts.items()}


def two_sides(features, first, second):
    return features[first], None if first == second else features[second]


def as_dict(blocks):
    return {
        (left, right): score
        for block in blocks
        for left, right, score in zip(block.left.tolist(), block.right.tolist(), block.scores.tolist(), strict=True)
    }


@pytest.fixture(scope="module")
def brute_force(embeddings):
    """All pairs at the lowest limit, by both names."""
    return {side: list_cosine_pairs(*two_sides(embeddings, *side), min_similarity=min(COSINE_COUNTS)) for side in SIDES}


@pytest.mark.parametrize("min_similarity", COSINE_COUNTS)
@pytest.mark.parametrize(("first", "second"), SIDES, ids=SIDE_IDS)
def test_cosine_pairs_equal_brute_force(embeddings, brute_force, first, second, min_similarity):
    left, right = two_sides(embeddings, first, second)
    found = as_dict(find_cosine_pairs(left, right, min_similarity=min_similarity, tile_rows=500))
    limit = np.float32(min_similarity)
    assert found == {pair: score for pair, score in brute_force[first, second].items() if score >= limit}

    # The README counts pairs strictly above, in single precision: it may differ by pairs on the very limit only.
    stated = COSINE_COUNTS[min_similarity][SIDES.index((first, second))]
    scores = np.array(list(found.values()))
    assert (scores > min_similarity + 1e-6).sum() <= stated <= len(scores)
    assert len(found) - stated == (2 if (first, second, min_similarity) == ("ArtDL", "ArtDL", 0.8) else 0)


@pytest.mark.parametrize("max_distance_bits", HAMMING_COUNTS)
@pytest.mark.parametrize(("first", "second"), SIDES, ids=SIDE_IDS)
def test_hamming_pairs_equal_brute_force(hashes, first, second, max_distance_bits):
    left, right = two_sides(hashes, first, second)
    found = as_dict(find_hamming_pairs(left, right, max_distance_bits=max_distance_bits, tile_rows=500))
    assert found == list_hamming_pairs(left, right, max_distance_bits=max_distance_bits)
    assert len(found) == HAMMING_COUNTS[max_distance_bits][SIDES.index((first, second))]


@pytest.mark.parametrize(("first", "second"), SIDES, ids=SIDE_IDS)
def test_perceptual_pairs_equal_the_published_list(published, names, hashes, first, second):
    file = (
        published / f"{first}-data/analysis/perceptual_duplicates.json"
        if first == second
        else published / f"cross/{first}_{second}_perceptual_duplicates.json"
    )
    expected = {(frozenset((left, right)), distance) for left, right, distance in json.loads(file.read_text())}
    left, right = two_sides(hashes, first, second)
    found = as_dict(find_hamming_pairs(left, right, max_distance_bits=8))
    assert {(frozenset((names[first][i], names[second][j])), bits) for (i, j), bits in found.items()} == expected


def test_published_half_precision_cosine_pairs_are_among_ours(published, names, embeddings):
    listed = json.loads((published / "cross/ICONCLASS_wikidata_cosine_duplicates.json").read_text())
    left, right = two_sides(embeddings, "ICONCLASS", "wikidata")
    found = as_dict(find_cosine_pairs(left, right, min_similarity=0.79))
    by_name = {(names["ICONCLASS"][i], names["wikidata"][j]): score for (i, j), score in found.items()}
    assert len(listed) == 2425
    for first, second, score in listed:
        assert by_name[first, second] == pytest.approx(score, abs=2e-3)
