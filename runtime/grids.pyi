"""Pairs of small numbers to words, by their place: no hash, nothing to compare, no probing."""
