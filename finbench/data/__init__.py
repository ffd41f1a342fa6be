"""Rows of every dataset in one shape, wherever they come from.

What comes in: publishers' and users' files; what goes out: splits of `records.Row`, without what leaks. A newcomer
adds a dataset: a file with one `DATASET`, and its name in `load.py`.
"""
