"""What the report of a finished run shows, gathered from its results."""

MOST_PAIRS = 2_000
"""So many pairs the gallery shows unless more or fewer are asked for."""
