"""Strings to small integers: the one place where whole strings are hashed and compared.

Nothing here is called from Python; other kernels use it through `intern.pxd`.
"""
