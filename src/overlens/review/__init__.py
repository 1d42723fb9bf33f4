"""The review desk: a page where people look at the pairs of a finished run and say what they are."""
