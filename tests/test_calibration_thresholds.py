"""Automatic thresholds, from files to the choice: known edits of the user's own images, and pairs that were judged."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from overlens.calibration.edit_scores import EditProbe, EditSources, known_edits, measure_edits, sample_rows
from overlens.calibration.edits import EDITS, edit_image
from overlens.calibration.judged import Judged
from overlens.calibration.thresholds import Thresholds, calibrate_thresholds, given_thresholds
from overlens.cli.compute import compute
from overlens.config import DatasetSpec, EncoderConfig, HashConfig, PairConfig, RunConfig
from overlens.decode import decode_rgb
from overlens.encoders import LoadedEncoder, load_encoder, wrap_encoder
from overlens.engines import make_engine
from overlens.errors import ConfigError
from overlens.evidence import read_rendition
from overlens.extract import Extractor
from overlens.features import KnownImages, Stores, compute_features
from overlens.groups.find import NO_GROUP
from overlens.hashes.compute import compute_hash
from overlens.layout import AnalysisLayout
from overlens.progress import Progress
from overlens.records import Features
from overlens.roster import Roster
from overlens.run_options import config_from_options
from overlens.sources import list_images
from overlens.store.results import Results
from overlens.testing import FakeEncoder, encode_picture, write_pictures

HASHING = HashConfig()


def extract(folder: Path, store: Path, encoder: LoadedEncoder) -> tuple[KnownImages, Features]:
    listing = list_images(DatasetSpec(folder.name, folder), folder, use_ground_truth=False)
    with Extractor(HASHING, encoder, workers=2) as extractor, Progress().stage("x", 1) as stage:
        stores = Stores.open(store, HASHING, encoder, evidence=True)
        known = compute_features(listing, stores, extractor, make_engine("local"), stage)
    rows = np.concatenate(list(known.embedding_blocks()))
    return known, Features(folder.name, known.keys, known.labels, embeddings=rows, hashes=known.hash_rows())


def write_edits(source: Path, target: Path, names: list[str], edits: tuple[str, ...]) -> None:
    """Write one edit of each named image, in turn."""
    for number, name in enumerate(names):
        edited = edit_image(decode_rgb((source / name).read_bytes()), edits[number % len(edits)], key=name, seed=99)
        path = target / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(edited).save(path)


def judge_by_names(first: Features, second: Features) -> Judged:
    """Groups by construction: an image of the second dataset is the copy of the one it is named after."""
    roster = Roster((first.dataset, second.dataset), (first.n_kept, second.n_kept))
    numbers = {key: number for number, key in enumerate(first.keys)}
    copied = [numbers.get(key.removesuffix(".png"), NO_GROUP) for key in second.keys]
    own = [number if number in copied else NO_GROUP for number in range(first.n_kept)]
    none = np.zeros(0, np.int32)
    return Judged(roster, none, none, np.zeros(0, np.uint8), np.array([*own, *copied], np.int32))


def automatic(**others: object) -> RunConfig:
    options = {"datasets": ("first", "second"), "cosine_threshold": "auto", "hash_threshold": "auto", "workers": 2}
    return config_from_options({**options, **others})


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    write_pictures(tmp_path / "first", range(24))
    (tmp_path / "first" / "a" / "blank.png").write_bytes(_blank())
    return tmp_path / "first"


def _blank() -> bytes:
    """A plain gradient: it has an embedding, and nothing to see."""
    return encode_picture(
        np.broadcast_to(np.linspace(240, 250, 40).astype(np.uint8)[None, :, None], (30, 40, 3)).copy()
    )


def test_known_edits_are_measured_against_the_stored_features(pictures: Path, tmp_path: Path):
    encoder = wrap_encoder(FakeEncoder(), batch_size=8)
    known, features = extract(pictures, tmp_path / "store", encoder)
    rows = sample_rows(known, 10)
    assert len(rows) == 10 and sorted(rows.tolist()) == rows.tolist()
    assert set(sample_rows(known, 5).tolist()) < set(rows.tolist())
    assert known.keys.index("a/blank.png") not in sample_rows(known, 1000) and len(sample_rows(known, 1000)) == 24
    probe = EditProbe(encoder, HASHING, workers=2)
    with Progress().stage("edits", 10) as stage:
        found = measure_edits(known, features, rows, probe, stage)
        again = measure_edits(known, features, rows, EditProbe(encoder, HASHING, workers=1), stage)
    assert found["cosine"].edits == tuple(EDITS)
    for method, scores in found.items():
        assert scores.scores.shape == (10, len(EDITS))
        assert np.array_equal(scores.scores, again[method].scores)
    # One of them by hand; a PNG has a rendition in JPEG, which stands for the picture.
    row, place = int(rows[3]), list(EDITS).index("grey")
    edited = edit_image(read_rendition(known.renditions().get(row)), "grey", key=known.keys[row])
    bits = np.bitwise_count(compute_hash(edited, "phash", 8) ^ features.hashes[row]).sum()
    vector = encoder.encode(encoder.prepare(edited)[None])[0][0].astype(np.float64)
    assert found["perceptual"].scores[3, place] == bits
    assert found["cosine"].scores[3, place] == pytest.approx(vector @ features.embeddings[row], abs=1e-6)
    assert set(measure_edits(known, features, rows[:1], EditProbe(None, HASHING), stage)) == {"perceptual"}


def test_scores_of_known_edits_are_kept_until_what_they_were_measured_on_changes(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    encoder = wrap_encoder(FakeEncoder(), batch_size=8)
    known, features = extract(pictures, tmp_path / "store", encoder)
    probe, measured = EditProbe(encoder, HASHING, workers=2), list[set[str]]()

    def measure(*of: Any) -> Any:
        measured.append({name for name, tool in (("cosine", of[3].encoder), ("perceptual", of[3].hashing)) if tool})
        return measure_edits(*of)

    monkeypatch.setattr("overlens.calibration.edit_scores.measure_edits", measure)

    def edits(rows: list[int], probe: EditProbe) -> Any:
        with Progress().stage("edits", len(rows)) as stage:
            return known_edits((known, np.array(rows)), features, probe, Results.open(tmp_path), stage)

    first, again = edits([0, 3], probe), edits([0, 3], probe)
    assert measured == [{"cosine", "perceptual"}]
    for method, scores in first.items():
        assert np.array_equal(scores.scores, again[method].scores) and scores.edits == again[method].edits
    edits([0, 3], replace(probe, hashing=HashConfig("dhash")))
    edits([0, 2], replace(probe, hashing=None))
    AnalysisLayout(tmp_path, features.dataset).kept_edit_scores("perceptual").write_bytes(b"damaged")
    edits([0, 2], probe)
    assert measured[1:] == [{"perceptual"}, {"cosine"}, {"perceptual"}]


def test_each_couple_gets_the_threshold_that_its_copies_allow(pictures: Path, tmp_path: Path):
    encoder = wrap_encoder(FakeEncoder(), batch_size=8)
    first = extract(pictures, tmp_path / "store1", encoder)
    names = [key for key in first[0].keys if "blank" not in key][:16]
    write_edits(pictures, tmp_path / "second", names, ("jpeg50", "half_size"))
    second = extract(tmp_path / "second", tmp_path / "store2", encoder)
    judged, progress = judge_by_names(first[1], second[1]), Progress()
    sources = EditSources((first[0], second[0]), encoder, Results.open(tmp_path))
    found = calibrate_thresholds(automatic(), (first[1], second[1]), sources, judged, progress=progress)
    assert [(one.method, one.first, one.second) for one in found.calibrations] == [
        (method, *couple)
        for method in ("cosine", "perceptual")
        for couple in (("first", "first"), ("first", "second"), ("second", "second"))
    ]
    across = found.calibrations[4]
    assert across.n_verified[across.place] == 16 and across.is_kept
    assert found.of("perceptual", "second", "first") == across.chosen
    assert across.n_edited == 24 + 16 and 0 < across.recall(across.place) < 1
    assert across.recall(across.place, "jpeg50") > across.recall(across.place, "mirror")
    assert found.to_json("cosine")["across"]["second"]["first"] == found.calibrations[1].chosen
    assert {stage for stage in progress.seconds} == {
        "Known edits",
        "Calibration by cosine",
        "Calibration by perceptual",
    }
    assert len(found.calibration_json()["calibrations"]) == 6 and not found.warnings
    assert all(one.place in one.telling_places() for one in found.calibrations)


def test_thresholds_are_said_in_words():
    own = Thresholds({"cosine": {("a", "a"): 0.81, ("a", "b"): 0.58}, "perceptual": {("a", "a"): 5}})
    assert (own.words("cosine"), own.words("perceptual")) == ("0.58 to 0.81", "5")
    assert own.of("cosine", "b", "a") == 0.58
    with pytest.raises(ConfigError, match="no dataset 'c' here; known: a, b"):
        own.of("cosine", "a", "c")
    with pytest.raises(ConfigError, match="no threshold by 'verified'; there are thresholds by cosine, perceptual"):
        own.of("verified", "a", "b")


def test_only_what_is_automatic_is_calibrated(pictures: Path, tmp_path: Path):
    encoder = wrap_encoder(FakeEncoder(), batch_size=8)
    known, features = extract(pictures, tmp_path / "store", encoder)
    none = np.zeros(0, np.int32)
    judged = Judged(Roster(("first",), (25,)), none, none, np.zeros(0, np.uint8), np.full(25, NO_GROUP, np.int32))
    mixed = automatic(datasets=("first",), cosine_threshold=0.8)
    found = calibrate_thresholds(
        mixed, [features], EditSources([known], None, Results.open(tmp_path)), judged, progress=Progress()
    )
    assert found.of("cosine", "first", "first") == 0.8 and found.words("cosine") == "0.8"
    assert [one.method for one in found.calibrations] == ["perceptual"]
    assert found.is_automatic("perceptual") and not found.is_automatic("cosine")
    stated = automatic(datasets=("first",), cosine_threshold=0.8, hash_threshold=3)
    with pytest.raises(ValueError, match="were judged on other images"):
        other = Judged(Roster(("first",), (1,)), none, none, np.zeros(0, np.uint8), np.full(1, NO_GROUP, np.int32))
        calibrate_thresholds(
            mixed, [features], EditSources([known], None, Results.open(tmp_path)), other, progress=Progress()
        )
    assert calibrate_thresholds(
        stated, [features], EditSources([], None, Results.open(tmp_path)), judged, progress=Progress()
    ) == given_thresholds(stated.pairs, ["first"])


def test_within_the_reference_there_is_no_threshold(pictures: Path, tmp_path: Path):
    encoder = wrap_encoder(FakeEncoder(), batch_size=8)
    known, features = extract(pictures, tmp_path / "store", encoder)
    none = np.zeros(0, np.int32)
    judged = Judged(Roster(("first",), (25,)), none, none, np.zeros(0, np.uint8), np.full(25, NO_GROUP, np.int32))
    config = automatic(datasets=("first", "second"), reference="first")
    found = calibrate_thresholds(
        config, [features], EditSources([known], encoder, Results.open(tmp_path)), judged, progress=Progress()
    )
    assert found.values == {"cosine": {}, "perceptual": {}} and found.calibrations == ()
    stated = given_thresholds(PairConfig(), ["first", "second"], "first")
    assert stated.words("cosine") == "0.9" and stated.of("cosine", "second", "first") == 0.9
    assert stated.to_json("perceptual")["within"] == {"first": None, "second": 5}
    with pytest.raises(ConfigError, match="pairs within 'first' were not looked for, as it is the reference"):
        stated.of("cosine", "first", "first")


@pytest.mark.slow
def test_thresholds_for_photographs_by_the_offline_encoder(shared_data: Path, tmp_path: Path):
    """Of two halves of a collection with edited copies between them, the copies are found and little else."""
    images = sorted((shared_data / "caltech101_mini").rglob("*.jpg"))[::12]
    for path in images[:50]:
        (tmp_path / "first").mkdir(exist_ok=True)
        (tmp_path / "first" / f"{path.parent.name}-{path.name}").write_bytes(path.read_bytes())
    names = sorted(path.name for path in (tmp_path / "first").iterdir())[::2]
    write_edits(tmp_path / "first", tmp_path / "second", names, ("jpeg10", "half_size", "blur", "text"))
    for path in images[50:]:
        (tmp_path / "second" / f"{path.parent.name}-{path.name}").write_bytes(path.read_bytes())
    encoder = load_encoder(EncoderConfig("offline", n_threads=2))
    (known, features), (others, other_features) = (
        extract(tmp_path / name, tmp_path / "store" / name, encoder) for name in ("first", "second")
    )
    judged = judge_by_names(features, other_features)
    config = automatic(clip_model="offline", projections="none")
    found = calibrate_thresholds(
        config,
        (features, other_features),
        EditSources((known, others), encoder, Results.open(tmp_path)),
        judged,
        progress=Progress(),
    )
    for method in ("cosine", "perceptual"):
        across = next(
            one for one in found.calibrations if (one.method, one.first, one.second) == (method, "first", "second")
        )
        assert across.is_kept and across.n_verified[across.place] >= 0.7 * len(names), across.reason
        assert across.recall(across.place, "jpeg50") > 0.95
        mirrored = across.recall(across.place, "mirror")
        assert mirrored > 0.9 if method == "cosine" else mirrored < 0.2  # an upright hash does not see through it


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cosine-threshold", "many"], "'many'; it must be a number, -1 to 1, such as 0.9, or 'auto'"),
        (["--hash-threshold", "2.5"], "'2.5'; it must be a whole number, 0 or more, such as 5, or 'auto'"),
        (["--false-discovery-rate", "few"], "'few'; it must be a number, 0 to below 1"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_the_command_line_takes_a_number_or_auto(arguments: list[str], message: str):
    result = CliRunner().invoke(compute, arguments)
    assert isinstance(result.exception, ConfigError) and message in str(result.exception)


def test_the_help_says_that_a_threshold_may_be_chosen():
    text = CliRunner().invoke(compute, ["--help"]).output
    assert "NUMBER|auto" in text and "INTEGER|auto" in text and "[default: 1%]" in " ".join(text.split())
