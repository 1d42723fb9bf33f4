"""What an audit sample of people's answers says of the overlap, in sentences."""

from collections.abc import Iterator

from overlens.counted import counted
from overlens.errors import ConfigError
from overlens.finished import FinishedRun
from overlens.overlap import VERIFIED_METHOD
from overlens.report.views import count_of, share_text
from overlens.review.sample import AuditResult, audit_estimate


def audit_of(run: FinishedRun) -> Iterator[str]:
    """Say how large the overlap is by the answers to an audit sample; nothing where none was judged."""
    if VERIFIED_METHOD not in run.numbers["methods"]:
        return
    try:
        result = audit_estimate(run)
    except ConfigError as error:
        yield f"An audit sample was judged that cannot be drawn from these results: {error}."
        return
    if result is not None:
        yield _sentence(result)


def _sentence(result: AuditResult) -> str:
    judged = f"{result.n_judged:,} of {counted(result.n, 'pair')} of the audit sample {result.name} were judged"
    if result.estimate is None:
        return f"{judged}: too few for an estimate, as every stratum needs an answer."
    what = "a copy in another dataset" if result.is_across else "a copy"
    value, ends = result.estimate.value, (result.estimate.low, result.estimate.high)
    numbers = f"{round(value):,} ({' to '.join(f'{round(end):,}' for end in ends)}, 95 % interval)"
    share = f"{share_text(value / result.n_images)} of {count_of(result.n_images, 'image')}"
    unsure = f" {counted(result.n_unsure, 'answer')} unsure: the interval allows for either." if result.n_unsure else ""
    return (
        f"Estimated by people: {numbers} images have {what}, {share}, where the pixels say {result.n_verified:,}; "
        f"{judged}.{unsure}"
    )
