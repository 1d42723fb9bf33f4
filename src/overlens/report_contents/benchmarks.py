"""What the benchmarks of a run add to its report: label conflicts, certificates of splits, transfer, models' scores."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from overlens.counted import counted
from overlens.finished import FinishedRun, read_json
from overlens.report.html.records import Section, Table
from overlens.report.views import count_of, join_names
from overlens.report_contents.files import address_of
from overlens.report_contents.rows import MOST_ROWS, Cell, interval, percent, points, points_interval, read_rows

SHOWN_PROBE = "logistic"
WHY_IN_NONE = {
    "unlabelled": "without a class",
    "conflicting": "whose copies have another class",
    "held_out": "with a copy in a dataset held out",
    "copies": "further copies of a picture of which a split holds one image",
}


def conflict_section(run: FinishedRun) -> Section | None:
    """Return which class is which, and the copies whose classes differ."""
    path = run.layout.label_bridge("json")
    if not run.made(path):
        return None
    bridge = read_json(path)
    rows = tuple(_bridge_row(one) for one in bridge["bridges"] if one["n_with_both_labels"])
    n = bridge["n_conflicts"]
    if not rows and not n:
        return None
    tables = [
        Table(
            "Pictures that two datasets share and label",
            ("datasets", "shared", "with both labels", "agree", "share"),
            rows,
            file=address_of(run, path),
        )
    ]
    if n:
        tables.append(_conflict_table(run, n))
    lead = (
        f"{counted(n, 'pair of copies has', 'pairs of copies have')} classes that do not match."
        if n
        else ("No copies have classes that do not match.")
    )
    return Section("labels", "Labels of copies", lead, tuple(tables))


def _bridge_row(one: Mapping[str, Any]) -> tuple[Cell, ...]:
    counts = one["n_shared_pictures"], one["n_with_both_labels"], one["n_agreeing"]
    return (" and ".join(one["datasets"]), *counts, percent(one["share_agreeing"]))


def _conflict_table(run: FinishedRun, n: int) -> Table:
    path = run.layout.label_conflicts
    rows = tuple(
        (
            *(one[name] for name in ("dataset_1", "image_1", "name_1", "dataset_2", "image_2", "name_2")),
            one["verdict"].replace("_", " ") or "through other images",
        )
        for one in islice(read_rows(path), MOST_ROWS)
    )
    head = "dataset", "image", "class", "dataset", "image", "class", "evidence"
    notes = (f"The first {len(rows):,} of {n:,}, the surest evidence first.",) if len(rows) < n else ()
    return Table("Copies whose classes do not match", head, rows, notes, address_of(run, path))


def split_section(run: FinishedRun) -> Section | None:
    """Return the certificates of few-shot splits, and how much accuracy depends on the seed."""
    locks = {name: path for name in run.datasets if run.made(path := run.of_dataset(name).splits_lock)}
    if not locks:
        return None
    rows = [_split_row(run, name, path) for name, path in locks.items()]
    table = Table(
        "Certificates of the splits",
        ("dataset", "splits", "images in none", "verified pairs they rest on", "crossing", "lock, SHA-256"),
        tuple(rows),
        (
            "Crossing: pictures with images on both sides of a border, between parts, to a dataset held out, or "
            "between seeds where these are to share none; summed over the splits.",
            *_in_none(locks),
        ),
    )
    return Section("splits", "Few-shot splits", _split_lead(rows), (table, *_variance_tables(run, locks)))


def _split_lead(rows: Sequence[tuple[Cell, ...]]) -> str:
    """Say whether anything crosses, and of which datasets nobody knows."""
    n_crossing = sum(row[4] for row in rows if isinstance(row[4], int))
    unknown = [str(row[0]) for row in rows if not isinstance(row[4], int)]
    told = [f"{counted(n_crossing, 'picture crosses', 'pictures cross')} a border."] if n_crossing else []
    if unknown:
        told.append(f"Of {join_names(unknown)} it is not known, as not all copies were looked for.")
    if len(unknown) < len(rows) and not n_crossing:
        known = " in the others" if unknown else ""
        told.insert(0, f"No verified copy crosses from one part of a split to another{known}.")
    return " ".join(told)


def _split_row(run: FinishedRun, name: str, path: Path) -> tuple[Cell, ...]:
    lock = read_json(path)
    certificates = [read_json(path.parent / one["file"])["certificate"] for one in lock["splits"]]
    crossing = [one["n_crossing_groups"] for one in certificates]
    known = [one for one in crossing if one is not None]
    basis = lock["copies"]["basis"] if lock["copies"] is not None else {}
    n_crossing = sum(known) if len(known) == len(crossing) else "not known"
    n_in_none = sum(certificates[0]["left_out_images"].values()) if certificates else None
    digest = lock["sha256"][:16] + "…"
    return name, len(lock["splits"]), n_in_none, basis.get("n_verified_pairs"), n_crossing, digest


def _in_none(locks: Mapping[str, Path]) -> Iterator[str]:
    """Say of each dataset which images can be in no split, and why."""
    for name, path in locks.items():
        splits = read_json(path)["splits"]
        left_out = read_json(path.parent / splits[0]["file"])["certificate"]["left_out_images"] if splits else {}
        told = [f"{left_out[kind]:,} {words}" for kind, words in WHY_IN_NONE.items() if left_out.get(kind)]
        if told:
            yield f"{name}: in no split are {join_names(told)}."


def _variance_tables(run: FinishedRun, names: Iterable[str]) -> Iterator[Table]:
    for name in names:
        path = run.of_dataset(name).seed_variance("json")
        if not run.made(path):
            continue
        results = [one for one in read_json(path)["results"] if one["probe"] == SHOWN_PROBE and one["over_seeds"]]
        rows = tuple(_variance_row(one) for one in results)
        if rows:
            head = "strategy", "k", "seeds", "accuracy", "95 % interval", "seeds needed for ±1 point"
            notes = ("Accuracy of a logistic probe on the query images.",)
            yield Table(f"{name}: how much the seed matters", head, rows, notes, address_of(run, path))


def _variance_row(one: Mapping[str, Any]) -> tuple[Cell, ...]:
    spread = one["over_seeds"]
    ends = _seed_interval(spread)
    strategy = one["strategy"].replace("_", "-")
    return strategy, one["k_shot"], spread["n"], percent(spread["mean"]), ends, spread["n_needed"]


def _seed_interval(spread: Mapping[str, Any]) -> str | None:
    """Return the interval of a mean accuracy; one wider than 50 points to a side tells nothing, whatever its ends."""
    if spread["low"] is None:
        return None
    if spread["high"] - spread["mean"] > 0.5:
        return "over ±50 points"
    return interval(max(0.0, spread["low"]), min(1.0, spread["high"]))


def transfer_section(run: FinishedRun) -> Section | None:
    """Return how classes carry over between datasets, with and without the images that they share."""
    path = run.layout.transfer_matrix("json")
    if not run.made(path):
        return None
    content = read_json(path)
    rows = tuple(row for one in content["pairs"] if (row := _transfer_row(one)) is not None)
    if not rows:
        return None
    head = "from", "to", "classes", "images", "accuracy", "without overlap", "images", "difference", "95 % interval"
    notes = [
        "Accuracy of a logistic probe, each class counting the same; from a dataset to itself by cross-validation, "
        "over all its classes.",
        "Without overlap: verified copies are removed from both sides. The difference is what they add. Where "
        "classes are lost with them (5 -> 3), the two figures are of different problems.",
    ]
    unknown = content.get("copies_unknown_within", {})
    notes += [f"{name}: {why}, so figures without the overlap may rest on copies." for name, why in unknown.items()]
    table = Table("How classes carry over", head, rows, tuple(notes), address_of(run, path))
    lead = f"Classes learned in one dataset, looked for in another: {count_of(len(rows), 'pair')} of datasets."
    return Section("transfer", "Transfer, with and without the overlap", lead, (table,))


def _transfer_row(one: Mapping[str, Any]) -> tuple[Cell, ...] | None:
    kind = "in_domain" if one["source"] == one["target"] else "accuracy"
    wanted = f"{kind}_{SHOWN_PROBE}"
    figure = next((f for f in one["figures"] if f["figure"] == wanted and f["average"] == "class"), None)
    if figure is None or figure["all"]["value"] is None:
        return None
    every, without, gap = figure["all"], figure["without_overlap"], figure["difference"]
    bare = (None, None) if without is None else (_accuracy(without), without["n_test"])
    added: tuple[Cell, Cell] = (None, None)
    if gap is not None and without is not None and _tells(every) and _tells(without):
        added = points(gap["value"]), points_interval(gap["lower"], gap["upper"])
    counts = _classes(every, without), every["n_test"]
    return one["source"], one["target"], *counts, _accuracy(every), *bare, *added


def _tells(estimate: Mapping[str, Any]) -> bool:
    """Whether a share of right answers says anything: where there is one class, every answer is right."""
    return estimate["value"] is not None and estimate["n_classes"] != 1


def _accuracy(estimate: Mapping[str, Any]) -> str | None:
    return percent(estimate["value"]) if estimate["value"] is None or _tells(estimate) else "1 class"


def _classes(every: Mapping[str, Any], without: Mapping[str, Any] | None) -> Cell:
    """Return over how many classes a figure is, and over how many of them without shared images if these are fewer."""
    n_every: int = every["n_classes"]
    n_without = n_every if without is None else without["n_classes"]
    return n_every if n_every == n_without else f"{n_every} -> {n_without}"


def score_section(run: FinishedRun) -> Section | None:
    """Return what models score with and without what leaked."""
    path = run.layout.prediction_scores("json")
    if not run.made(path):
        return None
    content = read_json(path)
    rows = tuple(_score_row(one) for one in content["scores"])
    if not rows:
        return None
    head = (
        "model",
        "dataset",
        "leaked from",
        "all",
        "images",
        "leaked",
        "images",
        "clean",
        "images",
        "all - clean",
        "95 % interval",
    )
    table = Table("Accuracy of models", head, rows, file=address_of(run, path))
    changed = [one for one in content["rankings"] if one["changes"]]
    lead = "Accuracy on all images, and on those that no other dataset holds."
    for one in changed:
        swaps = "; ".join(f"{swap['ahead']} and {swap['behind']}" for swap in one["swaps"])
        lead += f" On the images of {one['dataset']} that are clean of {one['other']}, the order changes: {swaps}."
    return Section("scores", "Scores without what leaked", lead, (table,))


def _score_row(one: Mapping[str, Any]) -> tuple[Cell, ...]:
    cells: list[Cell] = [one["model"], one["dataset"], one["other"]]
    for part in ("on_all", "on_leaked", "on_clean"):
        cells += (None, 0) if one[part] is None else (percent(one[part]["accuracy"]), one[part]["n"])
    gap = one["difference"]
    if gap is None:
        return *cells, None, None
    return *cells, points(gap["value"]), points_interval(gap["low"], gap["high"])
