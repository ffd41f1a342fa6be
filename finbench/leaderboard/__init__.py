"""Boards: what the cells say, in markdown, beside the numbers that were published."""
