"""What does a schedule say, in words?"""

from __future__ import annotations


def in_words(expression: str) -> str:
    """Return the schedule for people to read."""
    return expression
