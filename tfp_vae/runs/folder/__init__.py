"""The folder of a run: files, records, the checkpoint, stored examples, the metrics of each epoch, and the lock.

Each module knows one kind of file and nothing of training. `runs.run.Run` puts them together. To add a JSON file, add
a record to `records` and a method to `Run` that reads it. To add a value to a file, add one field to its record.
"""
