"""How answers are read and counted: kinds of answers, numbers and labels in texts, metrics with their errors.

What comes in: what a model answered and what is right; what goes out: outcomes of rows, and metrics. Nothing here
needs torch but BERTScore. A newcomer adds a kind of answer to `kinds/`.
"""
