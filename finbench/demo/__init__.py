"""The demonstration: small models built on the spot from bundled rows.

What comes in: nothing but the bundled rows; what goes out: folders of models that train, score and serve in seconds.
A newcomer adds a kind of model to `models.py`.
"""
