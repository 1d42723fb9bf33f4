"""What a run found, in sentences: the verdict first, then each direction, how sure it is, and what failed."""

from collections.abc import Iterator, Mapping
from typing import Any

from overlens.counted import counted
from overlens.finished import FinishedRun
from overlens.finished_pairs import RUNGS
from overlens.overlap import VERIFIED_METHOD
from overlens.report.views import count_of, join_names, share_text
from overlens.report_contents.audit import audit_of
from overlens.report_contents.decided import decisions_of
from overlens.verdicts import VERIFIED

METHODS = {
    VERIFIED_METHOD: "Verified copies",
    "cosine": "Cosine similarity",
    "perceptual": "Perceptual hash",
}
MOST_DIRECTIONS = 12


def criterion_of(method: str, numbers: Mapping[str, Any]) -> str:
    """Say when two images match by a method."""
    if method == VERIFIED_METHOD:
        return "their pixels agree once laid on one another, or they are joined by pictures that do"
    chosen = (
        " or more, chosen for each two datasets" if method == "cosine" else " or less, chosen for each two datasets"
    )
    if method == "cosine":
        stated = numbers["min_similarity"]
        return f"their embeddings have a cosine similarity of {'a threshold' if stated is None else stated}" + (
            chosen if stated is None else " or more"
        )
    stated = numbers["max_distance_bits"]
    bits = f"a threshold{chosen}" if stated is None else f"{counted(stated, 'bit')} or less"
    return f"their {numbers['hash_type']} differs in {bits}"


def surest_method(run: FinishedRun) -> str:
    """Return the method whose numbers are worth most."""
    methods = run.numbers["methods"]
    return VERIFIED_METHOD if VERIFIED_METHOD in methods else next(iter(methods))


def verdict_of(run: FinishedRun) -> str:
    """Say in one sentence how far the datasets overlap."""
    method = surest_method(run)
    numbers = run.numbers["methods"][method]
    what = "a verified copy" if method == VERIFIED_METHOD else "an alike image"
    if len(run.datasets) == 1:
        name = run.datasets[0]
        n, size = numbers["within"][name], numbers["sizes"][name]
        return f"{_part(n, size)} of {name} {_have(n, size)} {what} within it."
    size = sum(numbers["sizes"].values())
    n_alone = sum(
        region["n_images"] for regions in numbers["regions"].values() for region in regions if not region["datasets"]
    )
    n = size - n_alone
    if not n:
        return f"No image has {what} in another dataset."
    return f"{_part(n, size)} {_have(n, size)} {what} in another dataset."


def findings_of(run: FinishedRun) -> tuple[str, ...]:
    """Return the sentences that follow the verdict."""
    method = surest_method(run)
    numbers = run.numbers["methods"][method]
    sentences = [*_directions(run.datasets, numbers, method), *_within(run.datasets, numbers, method)]
    if method == VERIFIED_METHOD:
        sentences += [*_ladder(numbers), *decisions_of(run), *audit_of(run)]
    else:
        sentences.append("Nothing was verified, so images that only look alike are counted, too.")
    return (*sentences, *_not_looked_at(run))


def _directions(names: tuple[str, ...], numbers: Mapping[str, Any], method: str) -> Iterator[str]:
    couples = [(a, b, numbers["contained"][a][b]) for a in names for b in names if a != b]
    found = sorted((one for one in couples if one[2]), key=lambda one: -one[2] / max(1, numbers["sizes"][one[0]]))
    what = "" if method == VERIFIED_METHOD else ", or something alike"
    for a, b, n in found[:MOST_DIRECTIONS]:
        yield f"{_part(n, numbers['sizes'][a])} of {a} {'is' if n == 1 else 'are'} also in {b}{what}."
    if len(found) > MOST_DIRECTIONS:
        yield f"{len(found) - MOST_DIRECTIONS} further directions overlap less; the table has them."
    none = len(couples) - len(found)
    if none and found:
        yield f"In {counted(none, 'direction')} no image is shared."


def _within(names: tuple[str, ...], numbers: Mapping[str, Any], method: str) -> Iterator[str]:
    within = {name: numbers["within"][name] for name in names}
    found = [f"{n:,} in {name}" for name, n in within.items() if n]
    what = "a copy" if method == VERIFIED_METHOD else "an alike image"
    if found and len(names) > 1:
        yield f"Images with {what} within their own dataset: {join_names(found)}."
    for name in (name for name, n in within.items() if n is None):
        yield f"{name} is taken as given: within it nobody looked."


def _ladder(numbers: Mapping[str, Any]) -> Iterator[str]:
    counts = {rung: sum(one[rung] for one in numbers["pairs_by_verdict"]) for rung in RUNGS}
    copies = [f"{counts[rung]:,} {RUNGS[rung][0]}" for rung in VERIFIED if counts[rung]]
    if copies:
        yield f"How sure: verified pairs are {join_names(copies)}."
    if n_bound := numbers["n_images_at_candidate_bound"]:
        most = numbers["basis"]["max_candidates"]
        have = "image had" if n_bound == 1 else "images had"
        yield f"{n_bound:,} {have} more than {most} candidates; the best were looked at (--max-candidates)."
    others = {rung: n for rung, n in counts.items() if rung not in VERIFIED and n}
    if others:
        told = join_names([f"{n:,} {RUNGS[rung][0]}" for rung, n in others.items()])
        yield f"Not counted as copies: {told} {'pair' if sum(others.values()) == 1 else 'pairs'}."


def _not_looked_at(run: FinishedRun) -> Iterator[str]:
    datasets = run.numbers["datasets"]
    n_attempted = sum(one["attempted"] for one in datasets.values())
    n_failed = sum(one["failed"] for one in datasets.values())
    if n_failed:
        share = f"{n_failed:,} of {count_of(n_attempted, 'image')} could not be used"
        yield f"{share} ({share_text(n_failed / n_attempted)}), so nothing is known of these."
    else:
        yield f"All {count_of(n_attempted, 'image')} could be used."


def _part(n: int, size: int) -> str:
    return f"{n:,} of {count_of(size, 'image')} ({share_text(n / size)})" if size else "No image"


def _have(n: int, size: int) -> str:
    return "has" if n == 1 or not size else "have"


def basis_of(run: FinishedRun) -> tuple[tuple[str, str], ...]:
    """Return what the numbers rest on: (what, value)."""
    model, methods = run.numbers["model"], run.numbers["methods"]
    facts = [("overlens", run.version)]
    if model is not None:
        kind = "" if model["is_clip"] is not False else ", not CLIP"
        facts.append(("Encoder", f"{model['name']}{kind} ({model['source']}, {model['precision']})"))
        if model["weights_sha256"]:
            facts.append(("Weights", f"SHA-256 {model['weights_sha256']}"))
    facts += [(METHODS[method], f"two images match if {criterion_of(method, one)}") for method, one in methods.items()]
    if VERIFIED_METHOD in methods:
        found = methods[VERIFIED_METHOD]
        by = join_names(found["basis"]["candidates_by"])
        looked_at = f"{found['n_looked_at']:,} pairs looked at, {found['n_refuted']:,} refuted"
        facts.append(("Verification", f"rule {found['basis']['rule']}, candidates by {by}; {looked_at}"))
    if run.numbers["reference"] is not None:
        facts.append(("Reference", run.numbers["reference"]))
    return tuple(facts)
