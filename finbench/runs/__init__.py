"""Runs: a matrix of bases, adapters and tasks becomes one result file a cell, and only what is missing is scored."""
