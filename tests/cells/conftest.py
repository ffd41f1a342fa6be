"""The cells of the boards' tests, for tests of what boards make of the store."""

from tests.leaderboard.conftest import scored

__all__ = ["scored"]
