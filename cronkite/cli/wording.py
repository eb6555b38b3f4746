"""What does a schedule say, in words? In English, as all of the command line is."""

from __future__ import annotations

from django.utils import translation

from cronkite import words
from cronkite.exceptions import ScheduleError


def in_words(expression: str) -> str:
    """Return the schedule for people to read; one that is broken, as it is."""
    with translation.override("en"):
        try:
            return words.describe(expression)
        except ScheduleError:
            return expression
