"""Benchmarks: the stock way against ours, both in one run, results compared: `python -m benchmarks --help`."""
