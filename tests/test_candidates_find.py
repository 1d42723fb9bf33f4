"""Candidates are those that the stated rules propose, no others, within the bound, whatever the tiles."""

import csv
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from overlens.candidates.find import (
    CandidateConfig,
    CandidatePairs,
    Roster,
    count_candidate_comparisons,
    find_candidates,
)
from overlens.candidates.signals import Sources
from overlens.config import HASH_TYPES, EncoderConfig
from overlens.decode import decode_rgb
from overlens.errors import ConfigError
from overlens.evidence import MIN_DETAIL, Evidence, make_evidence
from overlens.hashes.orientation import orient
from overlens.search.reference import list_cosine_pairs
from overlens.testing import make_picture

Floats = NDArray[np.float32]
Pairs = set[tuple[int, int]]
DIMENSIONS = 12


def make_dataset(seed: int, n: int) -> tuple[Evidence, Floats]:
    """Return n made-up images: some equal, some near by an oriented hash, some near by embedding, some blank."""
    generator = np.random.default_rng(seed)
    digests = generator.integers(0, 256, (n, 32), dtype=np.uint8)
    hashes = generator.integers(0, 256, (n, 8, 4, 8), dtype=np.uint8)
    detail = np.where(generator.random(n) < 0.1, 0, 30).astype(np.float32)
    rows = generator.normal(size=(n, DIMENSIONS))
    for row in range(1, n):
        other = generator.integers(row)
        if row % 7 == 0:
            digests[row] = digests[other]
        if row % 3 == 0:
            hashes[row, generator.integers(8), generator.integers(4)] = hashes[other, 0, generator.integers(4)]
            hashes[row, :, :, 0] ^= np.uint8(1 << generator.integers(8))
        rows[row] = rows[other] + generator.normal(size=DIMENSIONS) * generator.uniform(0.2, 2)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    sizes_px = np.full((n, 2), 64, np.int32)
    pixel_digests = np.ascontiguousarray(digests[:, :16])
    pixel_digests[5:15:4] = pixel_digests[1:2]
    return Evidence(digests, pixel_digests, hashes, detail, sizes_px), rows.astype(np.float32)


def make_run(seed: int, sizes: tuple[int, ...]) -> tuple[Roster, list[Evidence], list[Floats]]:
    """Cut one made-up dataset in several, so that near and equal images stand in different ones."""
    evidence, rows = make_dataset(seed, sum(sizes))
    ends = np.cumsum(sizes)[:-1]
    parts = [
        Evidence(*columns)
        for columns in zip(
            *(np.split(getattr(evidence, name), ends) for name in Evidence.__slots__),
            strict=True,
        )
    ]
    return Roster(tuple(f"set{i}" for i in range(len(sizes))), sizes), parts, np.split(rows, ends)


def join(parts: list[Evidence], name: str) -> NDArray[np.generic]:
    return np.concatenate([getattr(part, name) for part in parts])


def distances_of(parts: list[Evidence]) -> NDArray[np.int64]:
    """Return `(n, n, 2, 8, 4)` distances to the right image in each orientation, and of the left one turned back."""
    hashes = join(parts, "hashes")
    plane = np.arange(6).reshape(2, 3)
    undoing = [[np.array_equal(orient(orient(plane, c), d), plane) for d in range(8)].index(True) for c in range(8)]
    back = hashes[:, undoing]
    ways = hashes[:, None, :1] ^ hashes[None], back[:, None] ^ hashes[None, :, :1]
    return np.stack([np.unpackbits(way, axis=-1).sum(axis=-1) for way in ways], axis=2)


def propose(
    roster: Roster, parts: list[Evidence], embeddings: list[Floats] | None, config: CandidateConfig, own: int | None
) -> dict[tuple[int, int], float]:
    """Return what the rules propose by hash and embedding, with merits, the plain way."""
    n, owners = roster.n_images, roster.dataset_of(np.arange(roster.n_images))
    searched = rows_to_search(roster, parts)
    distances = distances_of(parts).min(axis=(2, 3))
    radii = np.array(config.radii)
    by_hash = np.where(distances <= radii, 1 - distances / (radii + 1), 0).max(axis=2)
    chosen = (distances <= radii).any(axis=2)
    by_cosine = np.zeros((n, n))
    if embeddings is not None:
        rows = np.concatenate(embeddings)
        scores = np.zeros((n, n), np.float32)
        for (left, right), score in list_cosine_pairs(rows, rows, min_similarity=-2).items():
            scores[left, right] = score
        near = choose_neighbours(scores, owners, searched, config)
        by_cosine = np.where(near, np.clip((scores - config.min_cosine) / (1 - config.min_cosine), 0, 1), 0)
        chosen |= near
    merits = np.maximum(by_hash, by_cosine).astype(np.float32)
    return {
        (i, j): float(merits[i, j])
        for i, j in combinations(range(n), 2)
        if chosen[i, j] and searched[i, j] and not owners[i] == owners[j] == own
    }


def rows_to_search(roster: Roster, parts: list[Evidence]) -> NDArray[np.bool_]:
    """Return `(n, n)` which images are compared: the first of equal ones of each dataset, and not with an equal one."""
    values = [row.tobytes() for row in join(parts, "pixel_digests")]
    named = list(zip(roster.dataset_of(np.arange(roster.n_images)).tolist(), values, strict=True))
    is_picked = np.array([named.index(name) == row for row, name in enumerate(named)])
    is_picked &= join(parts, "detail") >= MIN_DETAIL
    differ = np.array(values)[:, None] != np.array(values)[None]
    return is_picked[:, None] & is_picked & differ


def choose_neighbours(
    scores: Floats, owners: NDArray[np.int32], searched: NDArray[np.bool_], config: CandidateConfig
) -> NDArray[np.bool_]:
    scores = np.where(searched, scores, -np.inf)
    ranks = np.empty(scores.shape, np.int64)
    for owner in np.unique(owners):
        columns = owners == owner
        ranks[:, columns] = np.argsort(np.argsort(-scores[:, columns], axis=1, kind="stable"), axis=1)
    mutual = (ranks < config.neighbours) & (ranks.T < config.neighbours)
    return (mutual | (ranks == 0) | (ranks.T == 0)) & (scores >= np.float32(config.min_cosine))


def keep_best(proposed: dict[tuple[int, int], float], n_places: int) -> tuple[Pairs, int]:
    kept: Pairs = set()
    n_capped = 0
    for image in {image for pair in proposed for image in pair}:
        mine = [pair for pair in proposed if image in pair]
        mine.sort(key=lambda pair: (-proposed[pair], sum(pair) - image))
        kept |= set(mine[:n_places])
        n_capped += len(mine) > n_places
    return kept, n_capped


def equal_pairs(roster: Roster, parts: list[Evidence], own: int | None) -> Pairs:
    owners = roster.dataset_of(np.arange(roster.n_images))
    found: Pairs = set()
    for name in ("byte_digests", "pixel_digests"):
        values = [row.tobytes() for row in join(parts, name)]
        found |= {
            (i, j)
            for i, j in combinations(range(len(values)), 2)
            if values[i] == values[j] and not owners[i] == owners[j] == own
        }
    return found


def join_lone_copies(proposed: Pairs, roster: Roster, parts: list[Evidence], own: int | None) -> Pairs:
    """Return pairs of each copy in the reference that equals nothing outside with the partners of the first."""
    owners = roster.dataset_of(np.arange(roster.n_images))
    values = [row.tobytes() for row in join(parts, "pixel_digests")]
    found: Pairs = set()
    for row, value in enumerate(values):
        equal = [other for other, same in enumerate(values) if same == value]
        if own is not None and all(owners[other] == own for other in equal) and row != equal[0]:
            partners = [sum(pair) - equal[0] for pair in proposed if equal[0] in pair]
            found |= {(min(row, partner), max(row, partner)) for partner in partners}
    return found


def pairs_of(found: CandidatePairs) -> Pairs:
    return set(zip(found.left.tolist(), found.right.tolist(), strict=True))


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    sizes=st.sampled_from([(40,), (25, 20), (14, 0, 22, 9)]),
    with_embeddings=st.booleans(),
    own=st.sampled_from([None, 0]),
)
def test_candidates_are_what_the_rules_propose(
    seed: int, sizes: tuple[int, ...], with_embeddings: bool, own: int | None
) -> None:
    roster, parts, rows = make_run(seed, sizes)
    embeddings = rows if with_embeddings else None
    config = CandidateConfig(max_per_image=60, neighbours=3, min_cosine=0.2)
    seen: list[int] = []
    reference = None if own is None else roster.datasets[own]
    found = find_candidates(Sources(roster, parts, embeddings), config, reference=reference, progress=seen.append)
    proposed = set(propose(roster, parts, embeddings, config, own))
    copies = join_lone_copies(proposed, roster, parts, own)
    assert pairs_of(found) == equal_pairs(roster, parts, own) | proposed | copies
    assert found.n_capped == 0
    assert sum(seen) == count_candidate_comparisons(roster, with_embeddings=with_embeddings, reference=reference)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), max_per_image=st.integers(1, 5), with_embeddings=st.booleans())
def test_the_bound_keeps_the_best_of_either_image(seed: int, max_per_image: int, with_embeddings: bool) -> None:
    roster, parts, rows = make_run(seed, (22, 18))
    for part in parts:  # no two images are equal, so that only the bound is at work
        part.byte_digests[:, :2] = np.arange(len(part))[:, None]
        part.pixel_digests[:, :2] = np.arange(len(part))[:, None]
    parts[1].byte_digests[:, 2], parts[1].pixel_digests[:, 2] = 1, 1
    parts[0].byte_digests[:, 2], parts[0].pixel_digests[:, 2] = 0, 0
    config = CandidateConfig(max_per_image=max_per_image, neighbours=4, min_cosine=0.0)
    embeddings = rows if with_embeddings else None
    found = find_candidates(Sources(roster, parts, embeddings), config)
    kept, n_capped = keep_best(propose(roster, parts, embeddings, config, None), max_per_image)
    assert pairs_of(found) == kept
    assert found.n_capped == n_capped
    assert len(found) <= max_per_image * roster.n_images


def test_every_signal_is_filled_in_for_every_pair() -> None:
    roster, parts, rows = make_run(7, (30, 25))
    found = find_candidates(Sources(roster, parts, rows), CandidateConfig())
    distances, everything = distances_of(parts), np.concatenate(rows)
    scores = list_cosine_pairs(everything, everything, min_similarity=-2)
    digests, pixels = join(parts, "byte_digests"), join(parts, "pixel_digests")
    assert len(found) > 50
    for place, (i, j) in enumerate(zip(found.left.tolist(), found.right.tolist(), strict=True)):
        assert found.distances[place].tolist() == distances[i, j].min(axis=(0, 1)).tolist()
        assert found.orientation[place] == distances[i, j].sum(axis=2).min(axis=0).argmin()
        assert found.cosine[place] == np.float32(scores[i, j])
        assert found.same_bytes[place] == (digests[i] == digests[j]).all()
        assert found.same_pixels[place] == (pixels[i] == pixels[j]).all()


def test_the_order_of_the_datasets_changes_no_distance() -> None:
    roster, parts, _ = make_run(9, (30, 25))
    config = CandidateConfig(max_per_image=60)
    there = find_candidates(Sources(roster, parts, None), config)
    back = find_candidates(Sources(Roster(roster.datasets[::-1], roster.sizes[::-1]), parts[::-1], None), config)
    numbers = (np.arange(55) + 30) % 55  # row of `back` to row of `there`

    def rows(found: CandidatePairs, names: NDArray[np.int64]) -> dict[frozenset[int], list[int]]:
        pairs = zip(names[found.left].tolist(), names[found.right].tolist(), strict=True)
        return dict(zip(map(frozenset, pairs), found.distances.tolist(), strict=True))

    assert rows(there, np.arange(55)) == rows(back, numbers)


def test_without_an_encoder_the_cosine_is_unknown() -> None:
    roster, parts, _ = make_run(7, (30,))
    found = find_candidates(Sources(roster, parts, None), CandidateConfig())
    assert len(found) and np.isnan(found.cosine).all()


def test_equal_images_never_crowd_out_the_copy() -> None:
    roster, parts, _ = make_run(11, (400, 3))
    for name in ("byte_digests", "pixel_digests", "hashes"):
        getattr(parts[0], name)[:] = getattr(parts[0], name)[0]
    parts[0].detail[:] = parts[1].detail[:] = 30
    parts[1].hashes[1] = parts[0].hashes[0]
    found = find_candidates(Sources(roster, parts, None), CandidateConfig(max_per_image=5))
    assert (0, 401) in pairs_of(found)
    assert found.same_bytes.sum() == 399
    assert found.n_capped == 0


def copy_rows(parts: list[Evidence], rows: list[Floats], place: tuple[int, int], n: int) -> None:
    """Append n copies of one image to its dataset, in place."""
    owner, row = place
    columns = {name: getattr(parts[owner], name) for name in Evidence.__slots__}
    parts[owner] = Evidence(*(np.concatenate([column] + [column[row : row + 1]] * n) for column in columns.values()))
    rows[owner] = np.concatenate([rows[owner]] + [rows[owner][row : row + 1]] * n)


def group(n: int, pairs: list[tuple[int, int]]) -> set[frozenset[int]]:
    groups = {row: {row} for row in range(n)}
    for left, right in pairs:
        if groups[left] is not groups[right]:
            groups[left] |= groups[right]
            groups.update(dict.fromkeys(groups[right], groups[left]))
    return {frozenset(members) for members in groups.values()}


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    row=st.integers(0, 19),
    owner=st.sampled_from([0, 1]),
    n_copies=st.sampled_from([1, 6, 8, 21, 40]),
    own=st.sampled_from([None, 0]),
)
def test_copying_an_image_changes_no_pair_of_the_others(
    seed: int, row: int, owner: int, n_copies: int, own: int | None
) -> None:
    roster, parts, rows = make_run(seed, (20, 20))
    config, reference = CandidateConfig(max_per_image=6, min_cosine=0.2), None if own is None else "set0"
    before = find_candidates(Sources(roster, parts, rows), config, reference=reference)
    before_parts, parts, rows = parts, list(parts), list(rows)
    copy_rows(parts, rows, (owner, row), n_copies)
    grown = Roster(roster.datasets, tuple(len(part) for part in parts))
    after = find_candidates(Sources(grown, parts, rows), config, reference=reference)
    numbers = np.full(grown.n_images, -1)
    numbers[[*range(20), *range(grown.offsets[1], grown.offsets[1] + 20)]] = range(40)
    # Each copy stands for the original.
    numbers[grown.offsets[owner] + 20 : grown.offsets[owner + 1]] = owner * 20 + row
    merged = [(int(numbers[i]), int(numbers[j])) for i, j in sorted(pairs_of(after))]
    assert group(40, merged) == group(40, sorted(pairs_of(before)))
    equal = equal_pairs(roster, before_parts, own)  # of a large class only a star stays
    assert {pair for pair in merged if owner * 20 + row not in pair} - equal == {
        pair for pair in pairs_of(before) if owner * 20 + row not in pair
    } - equal
    if reference is None or owner == 1:  # copies hang together, and so with what the original hangs on
        assert len(group(grown.n_images, sorted(pairs_of(after)))) == len(group(40, merged))


@pytest.mark.parametrize("n_equal", [1, 5, 6, 8, 21, 22])
def test_an_edit_that_stands_behind_a_decoy_is_found_however_many_copies_there_are(n_equal: int) -> None:
    roster, parts, rows = make_run(5, (n_equal + 2,))
    evidence, vectors = parts[0], rows[0]
    evidence.detail[:] = 30
    evidence.hashes[:] = np.random.default_rng(2).integers(0, 256, evidence.hashes.shape, dtype=np.uint8)
    for name in ("byte_digests", "pixel_digests"):
        getattr(evidence, name)[:] = np.arange(n_equal + 2, dtype=np.uint8)[:, None]
        getattr(evidence, name)[:n_equal] = 0
    evidence.hashes[:n_equal] = evidence.hashes[0]
    vectors[:] = 0
    vectors[:n_equal, 0] = 1
    vectors[n_equal, :2] = 0.8, 0.6
    vectors[n_equal + 1, :2] = 0.6, 0.8
    found = find_candidates(Sources(roster, parts, rows), CandidateConfig())
    assert {(0, n_equal), (0, n_equal + 1), (n_equal, n_equal + 1)} <= pairs_of(found)


@pytest.mark.parametrize("max_per_image", [1, 5000])
def test_a_class_of_equal_images_gives_few_pairs_whatever_the_bound(max_per_image: int) -> None:
    roster, parts, _ = make_run(11, (300,))
    for name in ("byte_digests", "pixel_digests", "hashes"):
        getattr(parts[0], name)[:] = getattr(parts[0], name)[0]
    assert len(find_candidates(Sources(roster, parts, None), CandidateConfig(max_per_image=max_per_image))) == 299


def test_copies_in_the_reference_that_equal_nothing_outside_are_joined_to_what_the_first_is_joined_to() -> None:
    roster, parts, _ = make_run(5, (9, 4))
    for name in ("byte_digests", "pixel_digests", "hashes"):
        getattr(parts[0], name)[2:8] = getattr(parts[0], name)[2]
    parts[0].detail[:] = parts[1].detail[:] = 30
    parts[1].hashes[1] = parts[0].hashes[2]
    found = find_candidates(Sources(roster, parts, None), CandidateConfig(), reference="set0")
    assert {(row, 10) for row in range(2, 8)} <= pairs_of(found)


def test_blank_images_enter_by_equality_only() -> None:
    roster, parts, rows = make_run(3, (6,))
    evidence = parts[0]
    evidence.detail[:] = 0
    evidence.hashes[:] = 0
    rows[0][:] = rows[0][0]
    evidence.byte_digests[:, 0], evidence.pixel_digests[:, 0] = np.arange(6), np.arange(6)
    evidence.byte_digests[4], evidence.pixel_digests[4] = evidence.byte_digests[2], evidence.pixel_digests[2]
    found = find_candidates(Sources(roster, parts, rows), CandidateConfig())
    assert pairs_of(found) == {(2, 4)}


@pytest.mark.parametrize("code", range(8))
def test_a_flipped_picture_is_found_with_its_orientation(code: int) -> None:
    pictures = [make_picture(seed) for seed in range(4)]
    turned = np.ascontiguousarray(orient(pictures[2], code))
    parts = [evidence_of(pictures), evidence_of([make_picture(9), turned])]
    found = find_candidates(Sources(Roster(("a", "b"), (4, 2)), parts, None), CandidateConfig())
    assert (2, 5) in pairs_of(found)
    place = found.right.tolist().index(5)
    back = orient(turned, int(found.orientation[place]))
    assert np.array_equal(back, pictures[2])


def evidence_of(pictures: list[NDArray[np.uint8]]) -> Evidence:
    digests = [np.random.default_rng(picture.sum()).bytes(32).hex() for picture in pictures]
    return Evidence.from_rows(np.stack([make_evidence(*both) for both in zip(pictures, digests, strict=True)]))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_per_image": 0}, "--max-candidates 0"),
        ({"neighbours": 0}, "neighbours 0"),
        ({"min_cosine": 1.0}, "min_cosine 1.0"),
        ({"max_distance_bits": {"phash": 3}}, "name each of"),
        ({"max_distance_bits": dict.fromkeys(HASH_TYPES, 64)}, "the radius of phash is 64"),
    ],
    ids=["bound", "neighbours", "cosine", "missing radius", "wide radius"],
)
def test_options_that_cannot_work_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        CandidateConfig(**options)


def test_columns_that_do_not_fit_are_refused() -> None:
    roster, parts, rows = make_run(7, (30, 25))
    with pytest.raises(ValueError, match="evidence of"):
        find_candidates(Sources(roster, parts[:1], None), CandidateConfig())
    with pytest.raises(ValueError, match="embeddings of"):
        find_candidates(Sources(roster, parts, rows[::-1]), CandidateConfig())
    with pytest.raises(ValueError, match="no dataset 'elsewhere'"):
        find_candidates(Sources(roster, parts, None), CandidateConfig(), reference="elsewhere")
    found = find_candidates(Sources(roster, parts, None), CandidateConfig())
    with pytest.raises(ValueError, match="stand once each"):
        CandidatePairs(*(getattr(found, name)[::-1] for name in CandidatePairs.__slots__[:-1]))


@pytest.mark.slow
def test_known_copies_of_cifar_are_among_few_candidates(shared_data: Path) -> None:
    folder = shared_data / "cifar10_dups"
    from overlens.encoders import load_encoder

    encoder = load_encoder(EncoderConfig(model="offline"))
    keys, parts, rows = [], [], []
    for name in ("cifar_test", "cifar_train"):
        paths = sorted((folder / name).rglob("*.jpg"))
        pictures = [decode_rgb(path.read_bytes()) for path in paths]
        keys.append({path.relative_to(folder).as_posix(): row for row, path in enumerate(paths)})
        parts.append(evidence_of(pictures))
        rows.append(encoder.encode(np.stack([encoder.prepare(picture) for picture in pictures]))[0])
    roster = Roster(("test", "train"), (len(keys[0]), len(keys[1])))
    found = find_candidates(Sources(roster, parts, rows), CandidateConfig())
    with (folder / "groundtruth_test_train.csv").open() as stream:
        listed = [(row["test_path"], row["train_path"]) for row in csv.DictReader(stream)]
    known = {(keys[0][a], keys[1][b] + roster.sizes[0]) for a, b in listed if a in keys[0] and b in keys[1]}
    assert len(known) == 145
    assert len(known & pairs_of(found)) / len(known) >= 0.97
    assert 2 * len(found) / roster.n_images <= 8
