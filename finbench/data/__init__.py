"""Rows of every dataset in one shape, wherever they come from."""
