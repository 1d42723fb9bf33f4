"""Thresholds that keep a stated false discovery rate, learnt from verified pairs and from known edits."""
