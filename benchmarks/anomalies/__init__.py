"""Anomaly detection on tables of ADBench, next to other detectors: `python -m benchmarks.anomalies`.

`tables` reads and divides the tables, `detectors` scores their rows, and `document` writes the results. To add a table
or a detector, add one entry to `tables.TABLES` or `detectors.DETECTORS`.
"""
