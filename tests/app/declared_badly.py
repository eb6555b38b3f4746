"""Declarations that cannot become jobs, between two that can."""


def first():
    pass


def unreadable():
    pass


def _private():
    pass


def last():
    pass


first.schedule = "0 1 * * *"
unreadable.schedule = "61 * * * *"
_private.schedule = "0 2 * * *"
last.schedule = "0 3 * * *"
