"""Where work runs: one after another on this machine, or on a Ray cluster.

What comes in: jobs, each a callable that yields its progress; what goes out: that progress, with the job it is of. A
newcomer adds an executor beside `LocalExecutor`.
"""
