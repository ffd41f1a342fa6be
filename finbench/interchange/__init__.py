"""Results from and for other programs: what lm-eval wrote becomes cells, cells become what others read.

What comes in: cells, or lm-eval's results; what goes out: files of other programs, or cells. A newcomer adds a format
as a function of `exported.py`.
"""
