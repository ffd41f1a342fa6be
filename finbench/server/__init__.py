"""The web service and its page: texts in, labels out.

What comes in: HTTP requests and a predictor; what goes out: JSON, the page, metrics. A newcomer adds a field to
`app.py`, and a check that every request passes to `guard.py`.
"""
