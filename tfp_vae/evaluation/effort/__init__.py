"""Effort: how much work each example gets, and how an interrupted evaluation continues.

`blocks` is the interface of a place that keeps finished estimates, and `settling` spends more samples and better
proposals on the examples whose log p(x) is not known to a given accuracy yet.
"""
