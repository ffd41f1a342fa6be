"""Boards: what the cells say, in markdown, beside the numbers that were published.

What comes in: cells and their rows' outcomes; what goes out: pages and pictures, the same bytes for the same cells. A
newcomer adds a page to `pages/`, or a condition to `conditions.py`.
"""
