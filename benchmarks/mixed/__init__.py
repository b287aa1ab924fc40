"""Tables with columns of different kinds: `python -m benchmarks.mixed`.

`tables` reads HI-VAE's tables and hides cells, `imputers` holds scikit-learn's methods, `ours` this library's, and
`errors` compares imputed cells with the truth. To add a method, add one entry to `METHODS` of `imputers`.
"""
