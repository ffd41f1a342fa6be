"""Whether finbench works here: releases against the window, the hook, fast paths by trial, devices, and where rows are.

What comes in: the installed libraries and the environment; what goes out: findings, each good, bad or only told. A
newcomer adds a trial to `trials`, or a library's release to `finbench/window.yaml`.
"""
