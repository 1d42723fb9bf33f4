"""What people decided of the pairs of a run, in sentences."""

from collections.abc import Iterator

from overlens.decisions.honoured import HonouredDecisions
from overlens.decisions.records import digest_answers
from overlens.finished import FinishedRun
from overlens.overlap import VERIFIED_METHOD


def decisions_of(run: FinishedRun) -> Iterator[str]:
    """Say how many decisions the run honoured, and whether there are others by now; nothing where there were none."""
    if VERIFIED_METHOD not in run.numbers["methods"]:
        return
    content = run.numbers["methods"][VERIFIED_METHOD].get("decisions")
    honoured = None if content is None else HonouredDecisions.from_json(content)
    if honoured is not None:
        yield honoured.summary()
    files = run.images.pictures_of({digest for pair in run.decisions for digest in pair})
    if digest_answers(run.decisions.values(), files) != ("" if honoured is None else honoured.digest):
        yield "Since this run people decided otherwise or more; run the command again so that it counts."
