"""What an audit sample of people's answers says of the overlap, in sentences."""

from collections.abc import Iterator

from overlens.counted import counted
from overlens.errors import ConfigError
from overlens.finished import FinishedRun
from overlens.overlap import VERIFIED_METHOD
from overlens.report.views import count_of, share_text
from overlens.review.audit import Estimate
from overlens.review.sample import AuditResult, audit_estimate

MOST_DATASETS = 12


def audit_of(run: FinishedRun) -> Iterator[str]:
    """Say how large the overlap is by the answers to the last audit sample; nothing while none of them counts."""
    if VERIFIED_METHOD not in run.numbers["methods"]:
        return
    try:
        result = audit_estimate(run)
    except ConfigError as error:
        yield f"The audit sample that was drawn last cannot be drawn from these results: {error}."
        return
    if result is not None:
        yield from _estimates(result)
        yield _basis(result)


def _estimates(result: AuditResult) -> Iterator[str]:
    """Say how many images have a copy: of each dataset, and of all where nobody would add up two."""
    known = [(one, one.estimate) for one in result.datasets if one.estimate is not None]
    if result.estimate is None:
        return
    for one, estimate in sorted(known, key=lambda one: -one[1].value / max(1, one[0].n_images))[:MOST_DATASETS]:
        named = f"{count_of(one.n_images, 'image')} of {one.name}"
        others = [other.name for other in result.datasets if other is not one]
        what = "a copy" if not others else f"a copy in {others[0] if len(others) == 1 else 'another dataset'}"
        yield _sentence(named, estimate, one.n_images, what, one.n_verified)
    if len(known) > MOST_DATASETS:
        yield f"Of {counted(len(known) - MOST_DATASETS, 'further dataset')} it is less; overlens review shows them."
    if len(known) > 2:
        named = f"{count_of(result.n_images, 'image')} in all"
        yield _sentence(named, result.estimate, result.n_images, "a copy in another dataset", result.n_verified)


def _sentence(named: str, estimate: Estimate, n_images: int, what: str, n_verified: int) -> str:
    value, low, high = (f"{round(one):,}" for one in (estimate.value, estimate.low, estimate.high))
    share = share_text(estimate.value / n_images) if n_images else "0"
    return (
        f"Estimated by people: {value} of {named} ({share}; {low} to {high}, 95 % interval) have {what}, where the "
        f"pixels say {n_verified:,}."
    )


def _basis(result: AuditResult) -> str:
    judged = f"{result.n_judged:,} of {counted(result.n, 'pair')} of the audit sample {result.name} were judged"
    if result.n_counted < result.n_judged:
        judged += f"; what counts is the beginning of its order, {counted(result.n_counted, 'pair')}"
    if result.estimate is None:
        return f"{judged}. That is too few for an estimate, as every stratum needs an answer."
    told = "answer is unsure" if result.n_unsure == 1 else "answers are unsure"
    return f"{judged}." + (f" {result.n_unsure:,} {told}: the intervals allow for either." if result.n_unsure else "")
