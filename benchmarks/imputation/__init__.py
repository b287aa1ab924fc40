"""Imputation of scikit-learn's tables, next to scikit-learn's imputers: `python -m benchmarks.imputation`.

`cases` holds the tables and hides their cells, `methods` fills them in, and `document` writes the results. To add a
table, a way to hide cells or a method, add one entry to `cases.TABLES`, `cases.MECHANISMS` or `methods.METHODS`.
"""
