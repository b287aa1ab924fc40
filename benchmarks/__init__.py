"""Speed against other ways to train and evaluate the same model: `python -m benchmarks`."""
