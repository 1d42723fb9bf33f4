"""What the user should know, said once in the log and once in the result."""

import logging
from collections.abc import Sequence

LOG = logging.getLogger(__name__)


def tell(subject: str, sentences: Sequence[str]) -> list[str]:
    """Log what the user should know about a dataset or a stage; return the sentences with its name before them."""
    for sentence in sentences:
        LOG.warning("%s: %s", subject, sentence)
    return [f"{subject}: {sentence}" for sentence in sentences]
