"""Accuracy and cost of estimates of log p(x): `python -m benchmarks.likelihood`.

`cases` holds the models and trains them. `comparison` checks estimates against annealing, `calibration` checks their
errors and intervals, and `cost` measures the time on MNIST. To add a model, add one entry to `cases.CASES`.
"""
