"""What a training or a scoring will cost, before anything is loaded.

What comes in: configurations, a recipe or a base; what goes out: bytes, operations and what would fit. A newcomer
adds what an optimizer or a strategy holds to `cost.py`.
"""
