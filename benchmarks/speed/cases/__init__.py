"""The comparisons, in the order of the tables: which job, on what data, by whom, and what is asked for."""

from speed.cases.images import EMBEDDING, HASHING
from speed.cases.pairs import PAIRS
from speed.cases.whole import WHOLE

CASES = (*HASHING, *EMBEDDING, *PAIRS, *WHOLE)
