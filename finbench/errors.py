"""What a user did wrong, said so that they can mend it."""


class FinbenchError(Exception):
    """A mistake in what finbench was given; the command line prints it without a traceback.

    The message says what failed, what was given and what to do next.
    """
