"""Makes adapters: `finbench finetune RECIPE.yaml`.

What comes in: a recipe; what goes out: a folder with an adapter, its record and its card, or a whole model. A newcomer
adds a method to `methods/`, or a key of recipes to `recipe.py` and `recipes/_default.yaml`.
"""
