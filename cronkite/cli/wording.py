"""What does a schedule say, in words, and what should one know of it? In English, as all of the command line is."""

from __future__ import annotations

from django.utils import translation

from cronkite.exceptions import ScheduleError
from cronkite.schedules import cautions, chosen, words
from cronkite.schedules.zones import Change


def in_words(expression: str, seed: str) -> str:
    """Return the schedule for people to read; one that is broken, as it is.

    Of one that says ``H``, for which numbers were chosen by the ``seed``, also which expression that makes.
    """
    with translation.override("en"):
        try:
            told = words.describe(expression, seed)
            return f"{told} ({chosen.spell(expression, seed)})" if chosen.is_in(expression) else told
        except ScheduleError:
            return expression


def warnings(expression: str, seed: str) -> list[str]:
    """Return what a person should know of the expression; nothing of one that is broken."""
    with translation.override("en"):
        try:
            return cautions.of(expression, seed)
        except ScheduleError:
            return []


def suspicion(expression: str) -> str:
    """Return a sentence if the seconds of the expression seem to be meant to come first; else nothing."""
    with translation.override("en"):
        return cautions.about_seconds(expression)


def stretch(change: Change) -> str:
    """Return the times that a clock skips or shows twice, with their dates if they are of two days."""
    if change.is_within_day:
        return f"{change.first:%H:%M} to {change.end:%H:%M}"
    return f"{change.first:%Y-%m-%d %H:%M} to {change.end:%Y-%m-%d %H:%M}"
