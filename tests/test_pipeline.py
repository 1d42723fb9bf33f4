"""The whole run: every documented file, numbers that agree with one another, and what happens when things go wrong."""

import csv
import gc
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet

import overlens
from overlens.analysis import Analysis
from overlens.errors import ConfigError, DatasetError, ModelError, StoreError
from overlens.testing import FakeEncoder, encode_picture, make_picture, write_pictures

N_SHARED = 6


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three class folders; `two` holds recompressed copies of six images of `one`, and `three` of three of these."""
    root = tmp_path_factory.mktemp("data")
    paths = {name: root / name for name in ("one", "two", "three")}
    write_pictures(paths["one"], range(24))
    write_pictures(paths["two"], range(100, 118))
    write_pictures(paths["three"], range(200, 212))
    for seed in range(N_SHARED):
        copy = encode_picture(make_picture(seed), "JPEG", quality=80)
        (paths["two"] / "a" / f"copy{seed}.jpg").write_bytes(copy)
        if seed % 2:
            (paths["three"] / "b" / f"copy{seed}.jpg").write_bytes(copy)
    (paths["one"] / "a" / "broken.png").write_bytes(b"\x89PNG and no more")
    return paths


@pytest.fixture(scope="module")
def result(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    return overlens.analyze(
        folders,
        encoder=FakeEncoder(),
        output=tmp_path_factory.mktemp("out"),
        cosine_threshold=0.98,
        max_failures=0.1,
        generate_few_shot=True,
        k_shots=(1, 5),
        n_classes=3,
        n_episodes=4,
        evaluate_cross_dataset=True,
    )


def documented_files() -> list[str]:
    names, methods, drawn = ("one", "two", "three"), ("cosine", "perceptual"), ("tsne", "umap")
    couples = [("one", "two"), ("one", "three"), ("two", "three")]
    files = []
    for name in names:
        own = f"dataset/{name}-data/analysis"
        files += [f"{own}/{file}" for file in ("embeddings.npy", "names.json", "labels.json", "hashes.json")]
        files += [f"{own}/{method}.{suffix}" for method in drawn for suffix in ("html", "png", "csv")]
        files += [f"{own}/{method}_duplicates.json" for method in methods]
        files += [f"{own}/{name}_duplicate_examples_{method}.png" for method in (*methods, "verified")]
        files += [f"{own}/failures.csv"]
        files += [f"{own}/{name}_few_shot_splits/{file}" for file in documented_splits()]
    cross = "dataset/cross"
    files += [f"{cross}/{a}_{b}_{method}_duplicates.json" for a, b in couples for method in methods]
    files += [
        f"{cross}/{a}_{b}_duplicate_examples_{method}.png" for a, b in couples for method in (*methods, "verified")
    ]
    files += [
        f"{cross}/combined_{method}_by_{by}.{suffix}"
        for method in drawn
        for by in ("dataset", "label")
        for suffix in ("html", "png")
    ]
    files += [f"{cross}/combined_{method}.csv" for method in drawn]
    files += [f"{cross}/venn_diagram_{method}.png" for method in (*methods, "verified")] + [f"{cross}/overlap.json"]
    files += [f"{cross}/overlap_curve_{method}.{end}" for method in (*methods, "verified") for end in ("csv", "png")]
    files += [f"{cross}/{table}.parquet" for table in ("pairs", "groups")] + [f"{cross}/low_information.csv"]
    files += [f"{cross}/cross_dataset_{a}_{b}.{end}" for a in names for b in names if a != b for end in ("json", "png")]
    files += [f"{cross}/transfer_matrix.{end}" for end in ("json", "csv")] + [f"{cross}/transfer_classes.csv"]
    files += [f"{cross}/transfer_matrix_{probe}.png" for probe in ("nearest_centroid", "knn", "logistic")]
    files += [f"{cross}/label_bridge.{end}" for end in ("json", "csv")] + [f"{cross}/label_conflicts.csv"]
    files += [f"{cross}/{a}_{b}_label_conflicts.png" for a, b in couples]
    return files


def documented_splits() -> list[str]:
    files = ["splits.lock", "seed_variance.json", "seed_variance.csv", "seed_variance.png"]
    for stem in (f"{k}shot_3classes_seed{seed}" for k in (1, 5) for seed in range(3)):
        for strategy in ("random", "stratified", "long_tail"):
            files += [f"{strategy}_{stem}{end}" for end in (".json", ".csv", "_embeddings.npy")]
            files += [f"{strategy}_{stem}_{part}_embeddings.npy" for part in ("validation", "query")]
            files += [f"coop/{strategy}_{stem}.json"]
        files += [f"episodic_{stem}.json"]
        files += [f"episodic_{stem}_{part}_rows.npy" for part in ("support", "validation", "query")]
    return files


def test_every_documented_file_is_there_and_opens(result: Analysis):
    for file in documented_files():
        path = result.output / file
        assert path.is_file(), file
        if path.suffix == ".png":
            Image.open(path).load()
        elif path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix == ".npy":
            kind = np.int32 if path.stem.endswith("_rows") else np.float32
            assert np.load(path, allow_pickle=False).dtype == kind
        elif path.suffix == ".csv":
            with path.open(newline="", encoding="utf-8") as stream:
                assert len({len(row) for row in csv.reader(stream)}) == 1
        elif path.suffix == ".lock":
            assert json.loads(path.read_text(encoding="utf-8"))["lock_version"] == 1
        elif path.suffix == ".html":
            text = path.read_text(encoding="utf-8")
            assert "Plotly.newPlot" in text
            assert "<script src=" not in text


def test_nothing_else_is_left_in_the_output(result: Analysis):
    found = {str(path.relative_to(result.output)) for path in result.output.rglob("*") if path.is_file()}
    extra = {path for path in found - set(documented_files()) if "/store/" not in path}
    described = {f"dataset/{name}-data/analysis/features.json" for name in ("one", "two", "three")}
    told = {f"dataset/cross/{name}" for name in ("run.json", "report.html", "index.html")}
    assert extra == {"dataset/cross/.lock", *told, *described}


def test_rows_of_the_exports_belong_together(result: Analysis):
    own = result.output / "dataset" / "one-data" / "analysis"
    names, labels, hashes = (json.loads((own / f"{x}.json").read_text()) for x in ("names", "labels", "hashes"))
    rows = np.load(own / "embeddings.npy")
    assert len(names) == len(labels) == len(hashes) == len(rows) == 24
    assert labels == [name.split("/")[0] for name in names]
    assert {len(text) for text in hashes} == {16}


def test_the_broken_image_is_counted_and_never_a_feature(result: Analysis):
    with (result.output / "dataset" / "one-data" / "analysis" / "failures.csv").open(newline="") as stream:
        failures = list(csv.DictReader(stream))
    assert [row["key"] for row in failures] == ["a/broken.png"]
    overlap = json.loads((result.output / "dataset" / "cross" / "overlap.json").read_text())
    assert overlap["datasets"]["one"] == {"attempted": 25, "kept": 24, "failed": 1, "label_source": "class folders"}


@pytest.mark.parametrize("method", ["cosine", "perceptual"])
def test_planted_copies_are_found_by_both_methods(result: Analysis, method: str):
    found = {frozenset(row[:2]) for row in result.pairs(method, "one", "two").rows}
    planted = {frozenset((f"{'abc'[seed % 3]}/{seed:04d}.png", f"a/copy{seed}.jpg")) for seed in range(N_SHARED)}
    assert planted <= found
    assert result.overlap(method).contained["two"]["one"] >= N_SHARED


def test_overlap_json_holds_the_numbers_of_the_result(result: Analysis):
    document = json.loads((result.output / "dataset" / "cross" / "overlap.json").read_text())
    assert document["model"]["name"] == "fake"
    assert document["methods"]["cosine"]["min_similarity"] == 0.98
    assert document["methods"]["perceptual"]["max_distance_bits"] == 5
    for method in ("cosine", "perceptual"):
        assert document["methods"][method]["contained"] == {
            name: dict(sorted(result.overlap(method).contained[name].items())) for name in ("one", "three", "two")
        }


def test_tables_become_data_frames(result: Analysis):
    pairs = result.pairs("perceptual", "one", "two").to_pandas()
    assert list(pairs.columns) == ["dataset_1", "name_1", "dataset_2", "name_2", "score"]
    assert len(pairs) == len(result.pairs("perceptual", "one", "two"))
    assert result.failures().to_pandas()["reason"].str.len().min() > 0
    assert len(result.overlap("cosine").to_pandas()) == 9


def test_judged_pairs_and_groups_have_names_and_are_what_the_files_hold(result: Analysis):
    cross = result.output / "dataset" / "cross"
    judged, groups = result.judged_pairs(), result.groups()
    assert parquet.read_table(cross / "pairs.parquet").equals(judged.columns)
    assert parquet.read_table(cross / "groups.parquet").equals(groups.columns)
    assert len(result.judged_pairs("two", "one")) == len(result.judged_pairs("one", "two")) >= N_SHARED
    couples = ("one", "two"), ("one", "three"), ("two", "three"), ("one",), ("two",), ("three",)
    assert sum(len(result.judged_pairs(*couple)) for couple in couples) == len(judged) == len(judged.rows)
    numbers = {row["group"] for row in groups.rows}
    assert numbers == set(range(len(groups)))
    assert [image for number in sorted(numbers) for image in groups.members_of(number)] == [
        (row["dataset"], row["image"]) for row in groups.rows
    ]
    assert ("one", "a/0000.png") in groups.members_of(0) and ("two", "a/copy0.jpg") in groups.members_of(0)
    frame = judged.to_pandas()
    assert list(frame.columns) == judged.columns.column_names and str(frame["n_inliers"].dtype) == "Int32"
    assert groups.to_pandas()["representative"].sum() == len(groups)
    jaccard = result.copies.overlap.jaccard
    assert jaccard["one", "two"] == jaccard["two", "one"] > 0


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        pytest.param(
            lambda r: r.overlap("cosin"), "no method 'cosin'; it has cosine, perceptual, verified", id="method"
        ),
        pytest.param(
            lambda r: r.pairs("verified", "one", "two"), r"result\.judged_pairs\(first, second\)", id="verified"
        ),
        pytest.param(lambda r: r.pairs("cosin", "one"), "no lists of pairs by 'cosin'; there are cosine", id="list"),
        pytest.param(lambda r: r.pairs("cosine", "one", ""), "no dataset '' here; known: one, two, three", id="empty"),
        pytest.param(lambda r: r.pairs("cosine", 1), "no dataset 1 here", id="number"),
        pytest.param(lambda r: r.judged_pairs("four"), "no dataset 'four' here", id="judged"),
        pytest.param(lambda r: r.judged_pairs(second="one"), "give the first one, too", id="only second"),
        pytest.param(lambda r: r.groups().members_of(9999), "no group 9999; they are numbered 0 to", id="group"),
        pytest.param(lambda r: r.groups().members_of("a"), "no group 'a'", id="group as text"),
        pytest.param(lambda r: r.overlap("verified").share("one", "four"), "known: one, two, three", id="share"),
        pytest.param(lambda r: r.thresholds.of("cosine", "one", "four"), "known: one, two, three", id="threshold"),
    ],
)
def test_wrong_questions_are_answered_with_what_there_is(result: Analysis, ask, message: str):
    with pytest.raises(ConfigError, match=message):
        ask(result)


def test_without_verification_the_ways_to_have_it_are_told(folders: dict[str, Path], tmp_path: Path):
    plain = overlens.analyze(
        {"two": folders["two"]}, output=tmp_path, method="perceptual", projections="none", no_verify=True
    )
    for ask in (plain.groups, plain.judged_pairs):
        with pytest.raises(ConfigError, match=r"nothing was verified in this run.*without no_verify"):
            ask()
    (tmp_path / "dataset" / "two-data" / "analysis" / "perceptual_duplicates.json").unlink()
    with pytest.raises(StoreError, match=r"perceptual_duplicates\.json cannot be read"):
        plain.pairs("perceptual", "two")


def test_within_the_reference_nothing_is_said_by_any_method(folders: dict[str, Path], tmp_path: Path):
    given = {name: folders[name] for name in ("two", "three")}
    result = overlens.analyze(given, encoder=FakeEncoder(), output=tmp_path, projections="none", reference="three")
    document = json.loads((tmp_path / "dataset" / "cross" / "overlap.json").read_text())
    for method in ("cosine", "perceptual", "verified"):
        numbers = document["methods"][method]
        assert numbers["within"]["three"] is numbers["n_pairs"]["within"]["three"] is None
        assert result.overlap(method).share("three", "three") is None and numbers["within"]["two"] >= 0
    assert not list((tmp_path / "dataset" / "three-data" / "analysis").glob("*_dupl*"))
    assert (tmp_path / "dataset" / "two-data" / "analysis" / "cosine_duplicates.json").is_file()
    for ask in (partial(result.pairs, "cosine"), result.judged_pairs):
        with pytest.raises(ConfigError, match="pairs within 'three' were not looked for, as it is the reference"):
            ask("three")


def test_a_pattern_that_identifies_nothing_says_so(folders: dict[str, Path], tmp_path: Path):
    given = {name: folders[name] for name in ("two", "three")}
    options = {"output": tmp_path, "method": "perceptual", "projections": "none"}
    result = overlens.analyze(given, identifier_pattern="Q[0-9]+", **options)
    told = [notice for notice in result.notices if notice.startswith("identifiers: ")]
    assert told[0] == "identifiers: two: 0 of 24 images have an identifier (names by pattern Q[0-9]+)"
    assert told[-1] == "identifiers: no two datasets share an identifier, so there is no recall to measure"
    document = json.loads((tmp_path / "dataset" / "cross" / "overlap.json").read_text())
    assert document["identifiers"]["three"] == {"source": "names by pattern Q[0-9]+", "n_identified": 0}
    assert [one["n_shared_identifiers"] for one in document["recall"]] == [0]
    assert not (tmp_path / "dataset" / "cross" / "missed_identifiers.csv").exists()
    plain = overlens.analyze(given, **options)
    assert not any("identifier" in notice for notice in plain.notices)


def test_splits_hold_rows_of_their_names(result: Analysis):
    folder = result.output / "dataset" / "one-data" / "analysis" / "one_few_shot_splits"
    stem = "random_5shot_3classes_seed1"
    split = json.loads((folder / f"{stem}.json").read_text())
    documented = ["dataset", "strategy", "k_shot", "n_classes", "seed", "names", "labels"]
    assert list(split) == [*documented, "validation", "query", "test", "certificate"]
    assert len(set(split["names"])) == 15
    parts = {"": split["names"], "_validation": split["validation"]["names"], "_query": split["query"]["names"]}
    features = result.datasets["one"]
    for part, names in parts.items():
        rows = [features.keys.index(name) for name in names]
        stored = np.load(folder / f"{stem}{part}_embeddings.npy")
        assert np.array_equal(stored, features.require_embeddings()[rows])
    drawn = [name for names in (*parts.values(), split["test"]["names"]) for name in names]
    assert len(set(drawn)) == len(drawn) and set(drawn) <= set(features.keys)


def test_no_copy_crosses_a_border_of_any_split(result: Analysis):
    assert len(result.splits) == 3 * 18 and len(result.episodes) == 3 * 6
    assert {one.certificate.n_crossing for one in (*result.splits, *result.episodes)} == {0}
    folder = result.output / "dataset" / "one-data" / "analysis" / "one_few_shot_splits"
    assert {split["certificate"]["n_crossing_groups"] for split in map(read_json, folder.glob("*shot_*.json"))} == {0}


def test_tables_of_transfer_and_variance_hold_the_numbers_of_the_result(result: Analysis):
    cross = result.output / "dataset" / "cross"
    assert read_json(cross / "transfer_matrix.json") == result.transfer_matrix.to_json()
    assert read_json(cross / "label_bridge.json") == result.labels.to_json()
    pair = read_json(cross / "cross_dataset_one_two.json")
    assert pair["figures"] == result.transfer_matrix.pair("one", "two").to_json()["figures"]
    assert pair["removed_target"]["n_removed"] >= N_SHARED and pair["class_match"]["n_common_classes"] == 3
    own = result.output / "dataset" / "two-data" / "analysis" / "two_few_shot_splits"
    assert read_json(own / "seed_variance.json")["results"] == [one.to_json() for one in result.variances["two"]]


def read_json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_second_run_changes_no_byte_and_reads_no_image(result: Analysis, folders: dict[str, Path]):
    def tree() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in result.output.rglob("*") if path.is_file()}

    before, encoder = tree(), FakeEncoder()
    again = overlens.analyze(
        folders,
        encoder=encoder,
        output=result.output,
        cosine_threshold=0.98,
        max_failures=0.1,
        generate_few_shot=True,
        k_shots=(1, 5),
        n_classes=3,
        n_episodes=4,
        evaluate_cross_dataset=True,
    )
    assert sum(again.read.values()) == encoder.n_encoded == 0
    assert tree() == before


def test_from_embeddings_gives_the_same_overlap(result: Analysis, tmp_path: Path):
    again = overlens.analyze(
        ["one", "two", "three"],
        root=result.output,
        output=tmp_path,
        from_embeddings=True,
        cosine_threshold=0.98,
        projections="none",
    )
    for method in ("cosine", "perceptual"):
        assert again.overlap(method) == result.overlap(method)
    assert any("galleries" in notice for notice in again.notices)
    assert not list(tmp_path.rglob("*_duplicate_examples_*"))


def test_perceptual_alone_starts_no_encoder(folders: dict[str, Path], tmp_path: Path):
    result = overlens.analyze(
        {"one": folders["one"], "two": folders["two"]},
        output=tmp_path,
        method="perceptual",
        projections="none",
        clip_model="ViT-B/32",
        weights="/nowhere/model.onnx",
    )
    assert result.model is None
    assert not list(tmp_path.rglob("embeddings.npy"))
    assert (tmp_path / "dataset" / "cross" / "venn_diagram_perceptual.png").is_file()


def test_without_an_output_the_files_live_as_long_as_the_result(folders: dict[str, Path]):
    result = overlens.analyze({"two": folders["two"]}, method="perceptual", projections="none")
    output = result.output
    assert len(result.pairs("perceptual", "two")) == result.overlap("perceptual").pairs_within["two"]
    assert output.is_dir()
    del result
    gc.collect()
    assert not output.exists()


def test_more_than_three_datasets_get_a_matrix(folders: dict[str, Path], tmp_path: Path):
    result = overlens.analyze(
        {**folders, "four": folders["one"]}, output=tmp_path, method="perceptual", projections="none", max_failures=0.1
    )
    assert (tmp_path / "dataset" / "cross" / "overlap_matrix_perceptual.png").is_file()
    assert result.overlap("perceptual").contained["one"]["four"] == 24


def test_too_many_failures_stop_the_run_with_the_share(folders: dict[str, Path], tmp_path: Path):
    with pytest.raises(DatasetError, match=r"1 of 25 images of one cannot be used \(4.0%\), more than .* 1%.*broken"):
        overlens.analyze(
            {"one": folders["one"]}, output=tmp_path, method="perceptual", projections="none", max_failures=0.01
        )
    assert (tmp_path / "dataset" / "one-data" / "analysis" / "failures.csv").read_text().count("\n") == 2
    assert not (tmp_path / "dataset" / "one-data" / "analysis" / "names.json").exists()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"clip_model": "ViT-B/99"}, ConfigError, "ViT-B/99"),
        ({"weights": "/nowhere/model.onnx"}, (ModelError, ConfigError), "/nowhere/model.onnx"),
        ({"hash_type": "whash", "hash_size": 6}, ConfigError, "6"),
        ({"engine": "moon"}, ConfigError, "known: local"),
    ],
    ids=["model", "weights", "hash size", "engine"],
)
def test_what_cannot_work_is_refused_before_anything_is_written(
    folders: dict[str, Path], tmp_path: Path, options: dict, error: type, message: str
):
    with pytest.raises(error, match=message):
        overlens.analyze({"one": folders["one"]}, output=tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_earlier_results_are_spoken_of_only_where_there_are_some(folders: dict[str, Path], tmp_path: Path):
    options = {"output": tmp_path, "method": "perceptual", "projections": "none"}
    with pytest.raises(DatasetError, match=r"with --max-failures 5%$"):
        overlens.analyze({"one": folders["one"]}, max_failures=0, **options)
    overlens.analyze({"one": folders["one"]}, **options)
    with pytest.raises(DatasetError, match=r"5%. Earlier results are as they were$"):
        overlens.analyze({"one": folders["one"]}, max_failures=0, **options)


def test_flat_images_are_listed_with_their_detail(tmp_path: Path):
    write_pictures(tmp_path / "x", range(2))
    for name, grey in (("blank", 255), ("black", 0)):
        (tmp_path / "x" / f"{name}.png").write_bytes(encode_picture(np.full((90, 120, 3), grey, np.uint8)))
    overlens.analyze({"x": tmp_path / "x"}, output=tmp_path / "out", method="perceptual", projections="none")
    lines = (tmp_path / "out/dataset/cross/low_information.csv").read_text(encoding="utf-8").splitlines()
    assert lines == ["dataset,image,detail", "x,black.png,0.00", "x,blank.png,0.00"]


def test_few_shot_without_labels_is_refused(tmp_path: Path):
    flat = tmp_path / "flat"
    flat.mkdir()
    for seed in range(3):
        (flat / f"{seed}.png").write_bytes(encode_picture(make_picture(seed)))
    with pytest.raises(ConfigError, match="few-shot splits and generalization need labels, and flat has none"):
        overlens.analyze({"flat": flat}, output=tmp_path / "out", generate_few_shot=True, clip_model="offline")


def test_a_stale_export_of_other_images_is_removed(folders: dict[str, Path], tmp_path: Path):
    common = {"output": tmp_path, "max_failures": 0.1}
    overlens.analyze({"one": folders["one"]}, encoder=FakeEncoder(), method="cosine", projections="none", **common)
    embeddings = tmp_path / "dataset" / "one-data" / "analysis" / "embeddings.npy"
    assert embeddings.exists()
    overlens.analyze({"one": folders["one"]}, method="perceptual", projections="none", max_images=5, **common)
    assert not embeddings.exists()


def test_results_of_an_earlier_run_inside_a_dataset_are_not_its_images(tmp_path: Path):
    write_pictures(tmp_path / "all" / "x", range(6))
    options = {"method": "perceptual", "projections": "none"}
    for place in (".", "deeper"):
        overlens.analyze({"x": tmp_path / "all" / "x"}, output=tmp_path / "all" / place, **options)
    assert len({path.parent for path in (tmp_path / "all").rglob("overlap_curve_*.png")}) == 2
    result = overlens.analyze({"all": tmp_path / "all"}, output=tmp_path / "out", **options)
    images = sorted((tmp_path / "all" / "x").rglob("*.png"))
    assert result.datasets["all"].keys == tuple(path.relative_to(tmp_path / "all").as_posix() for path in images)
    assert any("results of earlier runs" in notice for notice in result.notices)


def test_replaced_images_under_the_same_names_leave_no_old_vectors_behind(tmp_path: Path):
    images, output = tmp_path / "images", tmp_path / "out"
    write_pictures(images, range(6))
    overlens.analyze({"x": images}, encoder=FakeEncoder(), output=output, projections="none")
    for path in images.rglob("*.png"):
        path.write_bytes(encode_picture(make_picture(900 + int(path.stem))))
    overlens.analyze({"x": images}, output=output, method="perceptual", projections="none")
    assert not list(output.rglob("embeddings.npy"))
    with pytest.raises(ConfigError, match=r"has no embeddings\.npy"):
        overlens.analyze(["x"], root=output, from_embeddings=True, method="cosine", projections="none")


def test_vectors_of_the_same_images_stay_beside_new_hashes(tmp_path: Path):
    images, output = tmp_path / "images", tmp_path / "out"
    write_pictures(images, range(6))
    overlens.analyze({"x": images}, encoder=FakeEncoder(), output=output, method="cosine", projections="none")
    overlens.analyze({"x": images}, output=output, method="perceptual", projections="none", hash_type="dhash")
    again = overlens.analyze(["x"], root=output, output=tmp_path / "again", from_embeddings=True, projections="none")
    assert again.model is not None
    assert again.model.name == "fake"
    assert again.to_json()["methods"]["perceptual"]["hash_type"] == "dhash"


def test_files_of_earlier_runs_are_said_to_remain(tmp_path: Path):
    write_pictures(tmp_path / "images", range(6))
    options = {"output": tmp_path / "out", "projections": "none"}
    first = overlens.analyze({"x": tmp_path / "images"}, encoder=FakeEncoder(), **options)
    second = overlens.analyze({"x": tmp_path / "images"}, method="perceptual", **options)
    assert not any("earlier runs" in notice for notice in first.notices)
    assert any("5 files of earlier runs remain" in notice for notice in second.notices)


def test_embeddings_of_different_encoders_are_not_compared(tmp_path: Path):
    write_pictures(tmp_path / "images", range(6))
    encoders = FakeEncoder(), FakeEncoder()
    encoders[1].version = "others"
    for name, encoder in zip("ab", encoders, strict=True):
        overlens.analyze({name: tmp_path / "images"}, encoder=encoder, output=tmp_path, projections="none")
    with pytest.raises(ConfigError, match="are of different encoders"):
        overlens.analyze(["a", "b"], root=tmp_path, from_embeddings=True, projections="none")


def test_a_bad_published_row_is_a_failure_in_the_file(result: Analysis, tmp_path: Path):
    published = tmp_path / "x"
    published.mkdir()
    rows = np.array(result.datasets["two"].require_embeddings())
    rows[3] = np.nan
    np.save(published / "embeddings.npy", rows)
    (published / "names.json").write_text(json.dumps(list(result.datasets["two"].keys)))
    options = {"output": tmp_path / "out", "from_embeddings": True, "method": "cosine", "projections": "none"}
    found = overlens.analyze({"x": published}, **options)
    assert found.datasets["x"].n_failed == 1
    failures = tmp_path / "out" / "dataset" / "x-data" / "analysis" / "failures.csv"
    assert "not finite" in failures.read_text()
    with pytest.raises(DatasetError, match=r"more than --max-failures 1%"):
        overlens.analyze({"x": published}, max_failures=0.01, **options)


def test_options_without_effect_are_not_silent(result: Analysis, tmp_path: Path):
    options = {"root": result.output, "output": tmp_path, "from_embeddings": True, "projections": "none"}
    found = overlens.analyze(["one"], precision="fp32", **options)
    assert "options: --precision has no effect: --from-embeddings runs no encoder" in found.notices
    with pytest.raises(ConfigError, match="encoder object"):
        overlens.analyze(["one"], encoder=FakeEncoder(), **options)


def test_two_names_for_one_folder_are_noticed(folders: dict[str, Path], tmp_path: Path):
    both = {"x": folders["two"], "y": folders["two"]}
    found = overlens.analyze(both, output=tmp_path, method="perceptual", projections="none")
    assert any("files belong to both" in notice for notice in found.notices)


def test_generalization_without_labels_is_refused(tmp_path: Path):
    for name in "ab":
        (tmp_path / name).mkdir()
        for seed in range(3):
            (tmp_path / name / f"{seed}.png").write_bytes(encode_picture(make_picture(seed)))
    folders = {name: tmp_path / name for name in "ab"}
    with pytest.raises(ConfigError, match="generalization need labels, and a has none"):
        overlens.analyze(folders, output=tmp_path / "out", evaluate_cross_dataset=True, projections="none")
    assert not (tmp_path / "out").exists()


def test_a_text_is_not_taken_for_a_list_of_datasets():
    with pytest.raises(ConfigError, match="give a list of names"):
        overlens.analyze("ArtDL")


def test_a_name_with_an_equals_sign_stays_a_name(folders: dict[str, Path], tmp_path: Path):
    found = overlens.analyze({"a=b": folders["two"]}, output=tmp_path, method="perceptual", projections="none")
    assert list(found.datasets) == ["a=b"]


def test_a_class_with_two_names_is_one_class_where_datasets_are_drawn_together(tmp_path: Path):
    for name, shown in (("one", "Peter"), ("two", "St. Peter")):
        images, data = tmp_path / "dataset" / name / "JPEGImages", tmp_path / "dataset" / f"{name}-data"
        images.mkdir(parents=True)
        data.mkdir()
        for seed in range(6):
            (images / f"{seed}.png").write_bytes(encode_picture(make_picture(seed)))
        (data / "2_test.txt").write_text("".join(f"{seed}\n" for seed in range(6)))
        (data / "labels.json").write_text(json.dumps({str(seed): "11H(PETER)" for seed in range(6)}))
        (data / "classes.csv").write_text(f"ID,Label\n11H(PETER),{shown}\n")
    result = overlens.analyze(["one", "two"], root=tmp_path, encoder=FakeEncoder(), projections="tsne")
    labels = {table.scope: set(table.labels) for table in result.projections}
    assert labels == {"one": {"Peter"}, "two": {"St. Peter"}, "combined": {"Peter"}}


def test_pictures_of_projections_have_a_row_of_their_own_among_the_seconds(result: Analysis):
    parts = {"Neighbours for projections", "t-SNE", "UMAP", "Pictures of projections"}
    assert parts <= result.seconds.keys() and "Projections" not in result.seconds


def test_a_result_shows_itself_in_one_line(result: Analysis):
    assert "\n" not in repr(result)
    assert "one (24 images)" in repr(result)
    assert str(result.output) in repr(result)


def test_lists_that_somebody_published_are_not_replaced(result: Analysis, tmp_path: Path):
    analysis = tmp_path / "published" / "dataset" / "x-data" / "analysis"
    analysis.mkdir(parents=True)
    np.save(analysis / "embeddings.npy", result.datasets["two"].require_embeddings())
    (analysis / "names.json").write_text(json.dumps(list(result.datasets["two"].keys)))
    published = analysis / "cosine_duplicates.json"
    published.write_text('[["my", "list", 1]]')
    before = sorted(tmp_path.rglob("*"))
    options = {"root": tmp_path / "published", "from_embeddings": True, "method": "cosine", "projections": "none"}
    with pytest.raises(ConfigError, match=r"would replace 1 list of pairs that no run of overlens wrote .*--output"):
        overlens.analyze(["x"], **options)
    assert sorted(tmp_path.rglob("*")) == before
    for _ in range(2):  # what a run wrote, the next one may replace
        overlens.analyze(["x"], output=tmp_path / "results", **options)
    assert published.read_text() == '[["my", "list", 1]]'
    published.unlink()
    for _ in range(2):
        overlens.analyze(["x"], **options)


def test_a_dataset_that_is_not_there_is_named(result: Analysis):
    with pytest.raises(ConfigError, match="no dataset 'x' here; known: one, two, three"):
        result.pairs("cosine", "one", "x")


class Unnamed(FakeEncoder):
    """An encoder that nothing tells from another one with other weights."""

    def __init__(self, sign: int) -> None:
        super().__init__()
        self.version = ""
        self.sign = sign

    def encode(self, batch: np.ndarray, /) -> np.ndarray:
        return self.sign * super().encode(batch)


def test_rows_of_an_unnamed_encoder_are_never_taken_for_anothers(tmp_path: Path):
    write_pictures(tmp_path / "images", range(6))
    options = {"output": tmp_path / "out", "method": "cosine", "projections": "none"}
    rows = []
    for sign in (1, -1):
        found = overlens.analyze({"x": tmp_path / "images"}, encoder=Unnamed(sign), **options)
        rows.append(np.array(found.datasets["x"].require_embeddings()))
    assert np.array_equal(rows[0], -rows[1])
    assert not list((tmp_path / "out").rglob("store/embedding-*"))


def test_an_unnamed_encoder_leaves_no_store_behind_when_a_run_fails(tmp_path: Path):
    write_pictures(tmp_path / "images", range(6))
    (tmp_path / "images" / "a" / "bad.png").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match="more than --max-failures"):
        overlens.analyze({"x": tmp_path / "images"}, encoder=Unnamed(1), output=tmp_path / "out")
    assert not list((tmp_path / "out").rglob("store/embedding-*"))


def test_numpy_numbers_are_numbers(tmp_path: Path):
    write_pictures(tmp_path / "images", range(6))
    found = overlens.analyze(
        {"x": tmp_path / "images"},
        output=tmp_path / "out",
        method="perceptual",
        projections="none",
        hash_threshold=np.int64(3),
        cosine_threshold=np.float32(0.5),
    )
    assert found.to_json()["methods"]["perceptual"]["max_distance_bits"] == 3
