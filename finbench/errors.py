"""What a user did wrong, said so that they can mend it."""


class FinbenchError(Exception):
    """A mistake in what finbench was given; the command line prints it without a traceback.

    The message says what failed, what was given and what to do next.
    """


def first_line(error: BaseException) -> str:
    """Return the first line of what another library's error says, its type where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
