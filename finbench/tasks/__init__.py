"""Tasks: their YAMLs, loading, checking, making one, sizes, and the requests that scoring sends.

What comes in: names and YAMLs of tasks; what goes out: lm-eval's task objects, their prompts and requests. A newcomer
adds a task as a YAML in `tasks_yaml/`, and a mistake to be found to `check.py`.
"""
