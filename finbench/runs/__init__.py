"""Runs: a matrix of bases, adapters and tasks becomes one result file a cell, and only what is missing is scored.

What comes in: a matrix; what goes out: cells and failures in a folder. A newcomer adds a key to `matrix.py`, or a
model type's way of loading a base to `bases/`.
"""
