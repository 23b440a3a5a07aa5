"""Pairs of ids to a word: what a row asks for most often, found in one cache line.

Nothing here is called from Python; other kernels use it through `pairs.pxd`.
"""
