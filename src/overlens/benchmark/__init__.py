"""The benchmarks of a run: splits, transfer and scores, each with what the overlap means for it."""
