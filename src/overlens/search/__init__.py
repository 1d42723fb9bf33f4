"""Exact pair search: which rows of two sets, or of one, are alike."""

from overlens.search.cosine import find_cosine_pairs
from overlens.search.hamming import find_hamming_pairs
from overlens.search.neighbours import NeighbourGraph, find_nearest
from overlens.search.tiles import count_comparisons

__all__ = ["NeighbourGraph", "count_comparisons", "find_cosine_pairs", "find_hamming_pairs", "find_nearest"]
