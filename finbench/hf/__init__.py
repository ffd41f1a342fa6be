"""All that finbench knows of the insides of transformers and PEFT, which they do not promise.

What comes in: models and caches of any supported release; what goes out: functions with one meaning for all of them.
A newcomer adds what a release does otherwise, and each file's docstring says what is used, from which release to
which.
"""
